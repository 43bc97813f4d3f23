// Programs that are wrong, or only unusual: nothing is lost without a word, and nothing stays behind.
import { afterEach, expect, test } from "vitest";
import { ClosedError, MoqError, TransportError, UsageError } from "../../../src/index.ts";
import { CorePage, joined } from "../../support/core-page.ts";

const open: CorePage[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((page) => page.close()));
});

async function start(): Promise<CorePage> {
	const page = await CorePage.start();
	open.push(page);
	return page;
}

/** A track and a subscriber of it that skips nothing. */
async function written() {
	const page = await start();
	const track = page.runtime.origin().createBroadcast("room").createTrack("chat");
	return { page, track, subscriber: await track.subscribe({ maxLatencyMs: 60_000 }) };
}

const turns = () => new Promise((resolve) => setTimeout(resolve, 20));

test("a handle of another runtime is refused by name, and stands for nothing here", async () => {
	const [here, there] = [await start(), await start()];
	const [own, foreign] = [here.runtime.origin(), there.runtime.origin()];
	// The same calls, so the same ids: taken for its own, a foreign handle would be the wrong broadcast.
	const mine = own.createBroadcast("mine");
	const theirs = foreign.createBroadcast("theirs");
	mine.createTrack("chat");
	theirs.createTrack("chat");
	const consumer = await foreign.requestBroadcast("theirs");
	await own.requestBroadcast("mine");
	expect(() => own.publish("again", consumer)).toThrow(UsageError);
	await expect(own.requestBroadcast("again")).rejects.toMatchObject({ kind: "not-found" });
	await expect(mine.insertTrack(consumer.track("chat"))).rejects.toThrow("track belongs to another runtime");
	for (const half of ["publish", "consume"]) {
		const connecting = here.runtime.connect("https://relay.example/", { [half]: foreign });
		await expect(connecting).rejects.toThrow(`${half} belongs to another runtime`);
	}
});

test("a frame that is too large is refused where it is written, and takes no sequence", async () => {
	const { track, subscriber } = await written();
	const tooLarge = new Uint8Array(16 * 1024 * 1024 + 1);
	const message = expect.objectContaining({ kind: "too-large" });
	expect(() => track.writeFrame(tooLarge)).toThrow(message);
	const group = track.appendGroup();
	expect(() => group.writeFrame(tooLarge, undefined, { transfer: true })).toThrow(message);
	expect(() => group.createFrame(tooLarge.byteLength)).toThrow(message);
	expect(tooLarge.byteLength).toBeGreaterThan(0);
	group.writeFrame(tooLarge.subarray(1));
	group.finish();
	expect(group.sequence).toBe(0);
	expect((await subscriber.readFrame())?.size).toBe(16 * 1024 * 1024);
});

test("bytes that are handed over are gone at once, and cannot be handed over twice", async () => {
	const { track, subscriber } = await written();
	const whole = Uint8Array.from({ length: 8 }, (_, at) => at);
	track.writeFrame(whole.subarray(2, 5), undefined, { transfer: true });
	expect(whole.byteLength).toBe(0);
	for (const options of [{ transfer: true }, {}]) {
		expect(() => track.writeFrame(whole, undefined, options)).toThrow(UsageError);
		expect(() => track.writeFrame(whole.buffer, undefined, options)).toThrow(UsageError);
	}
	const shared = new Uint8Array(new SharedArrayBuffer(2)).fill(7);
	track.writeFrame(shared, undefined, { transfer: true });
	shared.fill(9);
	expect([...((await subscriber.readFrame())?.data ?? [])]).toEqual([2, 3, 4]);
	expect([...((await subscriber.readFrame())?.data ?? [])]).toEqual([7, 7]);
});

test("a frame that finds no room keeps its bytes, to be written later", async () => {
	const { track } = await written();
	const full = () => {
		for (let frame = 0; frame < 2000; frame++) track.writeFrame("x");
	};
	expect(full).toThrow(expect.objectContaining({ kind: "too-many-pending" }));
	const bytes = new ArrayBuffer(3);
	expect(() => track.writeFrame(bytes, undefined, { transfer: true })).toThrow(MoqError);
	expect(bytes.byteLength).toBe(3);
	await track.ready;
	track.writeFrame(bytes, undefined, { transfer: true });
	expect(bytes.byteLength).toBe(0);
});

test("a handler serves on after a moment with too many calls under way", async () => {
	const page = await start();
	const origin = page.runtime.origin();
	origin.dynamic((request) => request.accept(), { prefix: "made" });
	await origin.requestBroadcast("made/1");
	const waits = Array.from({ length: 1024 }, (_, at) => origin.waitForBroadcast(`never/${at}`));
	const second = origin.requestBroadcast("made/2");
	await expect(origin.waitForBroadcast("one too many")).rejects.toMatchObject({ kind: "too-many-pending" });
	expect((await second).path).toBe("made/2");
	for (const wait of waits) wait.cancel();
	await turns();
	expect((await origin.requestBroadcast("made/3")).path).toBe("made/3");
});

test("options that are none reject the call in the same turn, and start nothing", async () => {
	const page = await start();
	const { runtime } = page;
	const origin = runtime.origin();
	const track = origin.createBroadcast("room").createTrack("chat").consume();
	await runtime.stats();
	const before = page.link.live;
	const none = null as never;
	const signal = new AbortController() as never;
	const wrong = [
		() => runtime.connect("https://relay.example", none),
		() => runtime.connect("https://relay.example", { serverCertificateHashes: "abc" as never }),
		() => origin.waitForBroadcast("a", none),
		() => origin.waitForBroadcast("a", { signal }),
		() => track.subscribe(none),
		() => track.subscribe({ signal }),
		() => track.fetchGroup(0, none),
		() => track.fetchGroup(0, { signal }),
	];
	for (const call of wrong) {
		const pending = call();
		expect(pending.status, String(call)).toBe("rejected");
		await expect(pending, String(call)).rejects.toBeInstanceOf(UsageError);
	}
	expect(() => origin.scope("room" as never)).toThrow(UsageError);
	expect(() => origin.dynamic("room" as never)).toThrow(UsageError);
	expect(page.link.live).toEqual(before);
});

test("a group that was answered already is not accepted again, and leaves nothing", async () => {
	const { page, track } = await written();
	const requests = track.dynamic();
	// Closed here: when a handle that is not is collected, the counts change.
	const reader = track.consume();
	const fetching = reader.fetchGroup(3);
	const request = await requests.requestedGroup();
	request.accept().finish();
	(await fetching).close();
	reader.close();
	await turns();
	const before = page.link.live;
	expect(() => request.accept()).toThrow(ClosedError);
	await turns();
	expect(page.link.live).toEqual(before);
});

test("an iteration that was left is at its end, and may be iterated itself", async () => {
	const { track, subscriber } = await written();
	track.writeFrame("one");
	track.writeFrame("two");
	const groups = subscriber[Symbol.asyncIterator]();
	const first = (await groups.next()).value;
	for await (const group of groups) {
		expect(group.sequence).toBe((first?.sequence ?? 0) + 1);
		break;
	}
	expect(await groups.next()).toEqual({ value: undefined, done: true });
});

test("announcements are let go of when two are asked for at once, or when they are forgotten", async () => {
	const page = await start();
	const origin = page.runtime.origin();
	const stream = origin.announced();
	const events = stream[Symbol.asyncIterator]();
	const both = [events.next(), events.next()];
	const broadcasts = [origin.createBroadcast("a"), origin.createBroadcast("b")];
	await Promise.all(both);
	await events.return?.();
	await turns();
	const { ids, page: here } = await page.runtime.stats();
	expect(ids).toEqual({ origin: 1, producer: 2 });
	expect(here.handles).toBe(3);
	for (const broadcast of broadcasts) broadcast.close();
});

test.each([
	[new TransportError({ kind: "transport", message: "lost" }), { kind: "dropped" }],
	["cancelled" as const, { kind: "dropped" }],
	[new MoqError({ kind: "going-away", message: "moves" }), { kind: "going-away" }],
	[new MoqError({ kind: "app", code: 7, scope: "stream", message: "own" }), { kind: "app", code: 7 }],
	[new MoqError({ kind: "app", code: 64 + 7, scope: "session", message: "own" }), { kind: "app", code: 7 }],
	["timeout" as const, { kind: "timeout" }],
	[7, { kind: "app", code: 7 }],
])("what is given up with %s tells its readers", async (reason, expected) => {
	const { left, right, near, far } = await joined("moq-lite-06");
	open.push(left, right);
	const broadcast = near.createBroadcast("room");
	const [first, second] = [broadcast.createTrack("first"), broadcast.createTrack("second")];
	const found = await far.waitForBroadcast("room");
	const subscribers = [await found.track("first").subscribe(), await found.track("second").subscribe()];
	const group = first.appendGroup();
	group.writeFrame("begun");
	const reading = await subscribers[0]?.nextGroup();
	expect((await reading?.readFrame())?.text()).toBe("begun");
	group.abort(reason);
	await expect(reading?.readFrame()).rejects.toMatchObject(expected);
	first.abort(reason);
	broadcast.close(reason);
	expect(second.writeFrame).toThrow();
	for (const subscriber of subscribers) await expect(subscriber.nextGroup()).rejects.toMatchObject(expected);
	const requests = near.createBroadcast("asked").dynamic();
	const asking = (await far.waitForBroadcast("asked")).track("third").subscribe();
	(await requests.requestedTrack()).reject(reason);
	await expect(asking).rejects.toMatchObject(expected);
});
