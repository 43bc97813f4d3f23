import { afterEach, expect, test, vi } from "vitest";
import {
	type BroadcastRequest,
	DroppedError,
	MoqError,
	NotFoundError,
	type Origin,
	UnauthorizedError,
	UsageError,
} from "../../../src/index.ts";
import { CorePage, joined } from "../../support/core-page.ts";

const open: CorePage[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((page) => page.close()));
});

async function origin(): Promise<Origin> {
	const page = await CorePage.start();
	open.push(page);
	return page.runtime.origin();
}

async function pair() {
	const two = await joined("moq-lite-05");
	open.push(two.left, two.right);
	return two;
}

test("a path nobody announces is served by a handler, and announced to nobody", async () => {
	const table = await origin();
	const announced = table.announced();
	const seen: string[] = [];
	table.dynamic((request) => {
		seen.push(request.path);
		request.accept().createTrack("chat").writeFrame(`hello ${request.path}`);
	});
	const broadcast = await table.requestBroadcast("room/alice");
	const subscriber = await broadcast.track("chat").subscribe({ maxLatencyMs: 5000 });
	expect((await subscriber.readFrame())?.text()).toBe("hello room/alice");
	expect(seen).toEqual(["room/alice"]);
	table.createBroadcast("room/bob");
	expect(await announced.next()).toMatchObject({ path: "room/bob" });
});

test("what was announced is never asked for", async () => {
	const table = await origin();
	const handler = vi.fn();
	table.dynamic(handler);
	table.createBroadcast("room/bob");
	expect((await table.requestBroadcast("room/bob")).path).toBe("room/bob");
	expect(handler).not.toHaveBeenCalled();
});

test("a handler may give a broadcast it found elsewhere, or one it publishes", async () => {
	const [table, elsewhere] = [await origin(), await origin()];
	const own = table.createBroadcast("own");
	own.createTrack("chat").writeFrame("mine");
	const requests = table.dynamic();
	const waiting = table.requestBroadcast("alias");
	(await requests.requestedBroadcast()).accept(own);
	const group = await (await waiting).track("chat").getGroup(0);
	expect((await group?.readFrame())?.text()).toBe("mine");
	const second = table.requestBroadcast("second");
	(await requests.requestedBroadcast()).accept(await table.requestBroadcast("own"));
	expect((await second).path).toBe("second");
	// Handles of another worker are refused, and the request stays.
	const third = table.requestBroadcast("third");
	const request = await requests.requestedBroadcast();
	expect(() => request.accept(elsewhere as never)).toThrow("belongs to another runtime");
	request.close();
	await expect(third).rejects.toBeInstanceOf(NotFoundError);
});

test("two requests for one path are one for the handler, and cancelling one leaves the other", async () => {
	const table = await origin();
	const requests = table.dynamic();
	const [first, second] = [table.requestBroadcast("a"), table.requestBroadcast("a")];
	const request = await requests.requestedBroadcast();
	const another = requests.requestedBroadcast();
	first.cancel();
	request.accept();
	expect((await second).path).toBe("a");
	expect(first.status).toBe("rejected");
	expect(another.status).toBe("pending");
	another.cancel();
});

test("an answer is given once", async () => {
	const table = await origin();
	const requests = table.dynamic();
	const waiting = table.requestBroadcast("a");
	const request = await requests.requestedBroadcast();
	request.reject();
	await expect(waiting).rejects.toBeInstanceOf(NotFoundError);
	expect(() => request.accept()).toThrow(MoqError);
	expect(() => request.reject()).toThrow(MoqError);
	request.close();
});

test.each([
	["unauthorized", { kind: "unauthorized" }],
	["going-away", { kind: "going-away" }],
	[7, { kind: "app", code: 7 }],
] as const)("a rejection with %s reaches everybody who waits", async (reason, expected) => {
	const table = await origin();
	const requests = table.dynamic();
	const waiting = [table.requestBroadcast("a"), table.requestBroadcast("a")];
	(await requests.requestedBroadcast()).reject(reason);
	for (const wait of waiting) await expect(wait).rejects.toMatchObject(expected);
});

test("a reason that says nothing to a peer is a mistake of the caller and answers nothing", async () => {
	const table = await origin();
	const requests = table.dynamic();
	const waiting = table.requestBroadcast("a");
	const request = await requests.requestedBroadcast();
	expect(() => request.reject("usage" as never)).toThrow(UsageError);
	expect(() => request.reject(65_536)).toThrow(UsageError);
	request.accept();
	await waiting;
});

test("a request that is closed, or that a handler leaves unanswered, is rejected", async () => {
	const table = await origin();
	const requests = table.dynamic();
	const waiting = table.requestBroadcast("a");
	(await requests.requestedBroadcast()).close();
	await expect(waiting).rejects.toBeInstanceOf(NotFoundError);
	requests.close();
	table.dynamic(async () => undefined);
	await expect(table.requestBroadcast("b")).rejects.toBeInstanceOf(NotFoundError);
});

test("what a handler throws rejects the request with its kind", async () => {
	const table = await origin();
	const reported = vi.fn();
	vi.stubGlobal("reportError", reported);
	table.dynamic(async (request) => {
		if (request.path === "mistake") throw new TypeError("oops");
		throw new UnauthorizedError({ kind: "unauthorized", message: "not you" });
	});
	await expect(table.requestBroadcast("secret")).rejects.toBeInstanceOf(UnauthorizedError);
	expect(reported).not.toHaveBeenCalled();
	await expect(table.requestBroadcast("mistake")).rejects.toMatchObject({ kind: "dropped" });
	expect(reported).toHaveBeenCalledOnce();
	vi.unstubAllGlobals();
});

test("a slow handler learns that nobody waits any more, and its answer then changes nothing", async () => {
	const table = await origin();
	const requests = table.dynamic();
	const waiting = table.requestBroadcast("a");
	const request = await requests.requestedBroadcast();
	const unused = request.unused();
	waiting.cancel();
	await unused;
	request.accept().close();
	await expect(waiting).rejects.toMatchObject({ kind: "cancelled" });
});

test("without a handler, and after the last one closed, a path is not found", async () => {
	const table = await origin();
	await expect(table.requestBroadcast("a")).rejects.toBeInstanceOf(NotFoundError);
	const requests = table.dynamic();
	const waiting = table.requestBroadcast("a");
	requests.close();
	await expect(waiting).rejects.toBeInstanceOf(NotFoundError);
	await expect(requests.requestedBroadcast()).rejects.toMatchObject({ kind: "closed" });
	await expect(requests.closed).resolves.toBeUndefined();
});

test("requests come by iteration too, and leaving the loop closes the handler", async () => {
	const table = await origin();
	const requests = table.dynamic();
	const waiting = [table.requestBroadcast("a"), table.requestBroadcast("b")];
	const seen: BroadcastRequest[] = [];
	for await (const request of requests) {
		seen.push(request);
		request.accept();
		if (seen.length === 2) break;
	}
	await Promise.all(waiting);
	expect(seen.map(({ path }) => path)).toEqual(["a", "b"]);
	await expect(table.requestBroadcast("c")).rejects.toBeInstanceOf(NotFoundError);
});

test("a handler for a prefix is asked for nothing else, and names full paths", async () => {
	const table = await origin();
	table.dynamic((request) => request.accept(), { prefix: "live" });
	const seen: string[] = [];
	expect((await table.requestBroadcast("live/a")).path).toBe("live/a");
	await expect(table.requestBroadcast("other")).rejects.toBeInstanceOf(NotFoundError);
	table.withRoot("deep").dynamic((request) => {
		seen.push(request.path);
		request.accept();
	});
	await table.requestBroadcast("deep/b");
	expect(seen).toEqual(["deep/b"]);
});

test("a handler on a connection serves the origin it publishes", async () => {
	const { near } = await pair();
	near.dynamic((request) => request.accept());
	expect((await near.publish.requestBroadcast("anything")).path).toBe("anything");
});

test("a view of an origin sees and does only what lies within it", async () => {
	const table = await origin();
	table.createBroadcast("room/a");
	table.createBroadcast("hall/b");
	const scoped = table.scope(["room"]);
	expect((await scoped.requestBroadcast("room/a")).path).toBe("room/a");
	await expect(scoped.requestBroadcast("hall/b")).rejects.toBeInstanceOf(NotFoundError);
	await expect(scoped.createBroadcast("hall/c").closed).rejects.toBeInstanceOf(UnauthorizedError);
	const rooted = table.withRoot("hall");
	rooted.createBroadcast("c");
	expect((await table.requestBroadcast("hall/c")).path).toBe("hall/c");
	const wider = scoped.scope(["hall"]);
	await expect(wider.closed).rejects.toBeInstanceOf(UnauthorizedError);
	await expect(scoped.withRoot("hall").closed).rejects.toBeInstanceOf(UnauthorizedError);
	// Nothing allowed is not the same as everything.
	const nothing = table.scope([]);
	await expect(nothing.requestBroadcast("room/a")).rejects.toBeInstanceOf(NotFoundError);
});

test("a peer's subscription makes a track that nobody has created", async () => {
	const { near, far } = await pair();
	const broadcast = near.createBroadcast("room/bob");
	broadcast.dynamic((request) => {
		if (request.name !== "chat") return request.reject(5);
		const track = request.accept({ timescale: 1000 });
		track.writeFrame(`the ${request.name}`, 7);
		return undefined;
	});
	const consumer = await far.waitForBroadcast("room/bob");
	const subscriber = await consumer.track("chat").subscribe({ maxLatencyMs: 5000 });
	expect(subscriber.info.timescale).toBe(1000);
	const frame = await subscriber.readFrame();
	expect(frame).toMatchObject({ timestamp: 7 });
	expect(frame?.text()).toBe("the chat");
	await expect(consumer.track("secret").subscribe()).rejects.toMatchObject({ kind: "app", code: 5 });
});

test("a track that is asked for tells what those who wait want, before and after it is accepted", async () => {
	const table = await origin();
	const broadcast = table.createBroadcast("mine");
	const requests = broadcast.dynamic();
	const track = broadcast.consume().track("chat");
	const subscribing = track.subscribe({ priority: 3 });
	const request = await requests.requestedTrack();
	expect(request.name).toBe("chat");
	let wish = request.subscription ?? (await request.subscriptionChanged());
	expect(wish).toMatchObject({ priority: 3 });
	subscribing.update({ priority: 9 });
	while (wish?.priority !== 9) wish = await request.subscriptionChanged();
	expect(request.subscription).toMatchObject({ priority: 9 });
	const producer = request.accept();
	const subscriber = await subscribing;
	subscriber.close();
	await expect.poll(async () => (await producer.subscriptionChanged()) === null).toBe(true);
});

test("nobody holding an asked-for track any more is told", async () => {
	const table = await origin();
	const broadcast = table.createBroadcast("mine");
	const requests = broadcast.dynamic();
	const consumer = broadcast.consume();
	const track = consumer.track("chat");
	const subscribing = track.subscribe();
	const request = await requests.requestedTrack();
	const unused = request.unused();
	subscribing.cancel();
	track.close();
	await unused;
	request.close();
});

test("a track request that is dropped fails those who wait, and the name can be asked for again", async () => {
	const table = await origin();
	const broadcast = table.createBroadcast("mine");
	const requests = broadcast.dynamic();
	const consumer = broadcast.consume();
	const first = consumer.track("chat").subscribe();
	(await requests.requestedTrack()).close();
	await expect(first).rejects.toBeInstanceOf(DroppedError);
	const second = consumer.track("chat").subscribe();
	(await requests.requestedTrack()).accept();
	await second;
});

test("a group that is not cached is asked for, and everybody who waits gets it", async () => {
	const { near, far } = await pair();
	const chat = near.createBroadcast("room/bob").createTrack("chat");
	chat.createGroup(5).finish();
	const groups = chat.dynamic();
	const track = (await far.waitForBroadcast("room/bob")).track("chat");
	const own = chat.consume();
	const fetching = [track.fetchGroup(2, { priority: 4 }), own.fetchGroup(2, { priority: 200 })];
	const request = await groups.requestedGroup();
	expect(request).toMatchObject({ sequence: 2, frameStart: 0 });
	const group = request.accept();
	expect(group.sequence).toBe(2);
	group.writeFrame("old");
	group.writeFrame("but here");
	group.finish();
	for (const fetched of await Promise.all(fetching)) {
		const texts: string[] = [];
		for await (const frame of fetched) texts.push(frame.text());
		expect(texts).toEqual(["old", "but here"]);
	}
	await group.closed;
	// It is cached now: nobody is asked.
	expect((await own.fetchGroup(2)).sequence).toBe(2);
	expect(chat.latest).toBe(5);
});

test("a group nobody has is rejected by the handler, or not found without one", async () => {
	const table = await origin();
	const chat = table.createBroadcast("mine").createTrack("chat");
	chat.writeFrame("zero");
	const track = chat.consume();
	await expect(track.fetchGroup(3)).rejects.toBeInstanceOf(NotFoundError);
	const groups = chat.dynamic((request) => request.reject(9));
	await expect(track.fetchGroup(3)).rejects.toMatchObject({ kind: "app", code: 9 });
	groups.close();
	await expect(track.fetchGroup(3)).rejects.toBeInstanceOf(NotFoundError);
});

test("a group that came meanwhile is the answer, and the handler's group is refused", async () => {
	const table = await origin();
	const chat = table.createBroadcast("mine").createTrack("chat");
	const groups = chat.dynamic();
	const fetching = chat.consume().fetchGroup(0);
	const request = await groups.requestedGroup();
	chat.writeFrame("live");
	expect((await (await fetching).readFrame())?.text()).toBe("live");
	await expect(request.accept().closed).rejects.toMatchObject({ kind: "duplicate" });
});

test("an accepted group that is given up fails for those who read it", async () => {
	const table = await origin();
	const chat = table.createBroadcast("mine").createTrack("chat");
	chat.dynamic((request) => {
		const group = request.accept();
		group.writeFrame("begun");
		group.abort(3);
	});
	const group = await chat.consume().fetchGroup(0);
	await expect(group.finished).rejects.toMatchObject({ kind: "app", code: 3 });
});

test("groups are served before their track is accepted, and give it its properties", async () => {
	const table = await origin();
	const broadcast = table.createBroadcast("mine");
	const requests = broadcast.dynamic();
	const track = broadcast.consume().track("chat");
	const fetching = track.fetchGroup(4);
	const request = await requests.requestedTrack();
	request.dynamic((asked) => {
		const group = asked.accept({ timescale: 90_000 });
		group.writeFrame("old", 5);
		group.finish();
	});
	const group = await fetching;
	expect(group.timescale).toBe(90_000);
	expect(await group.readFrame()).toMatchObject({ timestamp: 5 });
	request.accept({ timescale: 1 });
	expect((await track.info()).timescale).toBe(90_000);
});

test("a track made elsewhere is known in a broadcast until it is removed", async () => {
	const table = await origin();
	const [one, two] = [table.createBroadcast("one"), table.createBroadcast("two")];
	const chat = one.createTrack("chat");
	chat.writeFrame("hello");
	await two.insertTrack(chat);
	await expect(two.insertTrack(chat.consume())).rejects.toMatchObject({ kind: "duplicate" });
	const seen = two.consume().track("chat");
	expect((await (await seen.getGroup(0))?.readFrame())?.text()).toBe("hello");
	await two.removeTrack("chat");
	await expect(two.removeTrack("chat")).rejects.toBeInstanceOf(NotFoundError);
	await expect(two.consume().track("chat").closed).rejects.toBeInstanceOf(NotFoundError);
	expect((await chat.consume().getGroup(0))?.sequence).toBe(0);
});
