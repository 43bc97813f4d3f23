import { afterEach, describe, expect, test } from "vitest";
import { DroppedError, NotFoundError, TransportError, UsageError } from "../../../src/handle/error.ts";
import type { Announcement, BroadcastConsumer } from "../../../src/index.ts";
import type { Version } from "../../../worker/protocol/model.ts";
import { CorePage, joined } from "../../support/core-page.ts";
import { memoryPair } from "../../support/memory-transport.ts";

const VERSIONS: Version[] = ["moq-lite-03", "moq-lite-05", "moq-lite-06"];

const open: CorePage[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((page) => page.close()));
});

async function page(): Promise<CorePage> {
	const started = await CorePage.start();
	open.push(started);
	return started;
}

async function pair(version: Version = "moq-lite-05") {
	const two = await joined(version);
	open.push(two.left, two.right);
	return two;
}

describe.each(VERSIONS)("two pages over %s", (version) => {
	test("what one page writes the other reads, group by group", async () => {
		const { near, far } = await pair(version);
		expect(near.version).toBe(version);
		const broadcast = near.createBroadcast("room/bob");
		const chat = broadcast.createTrack("chat");
		const track = (await far.waitForBroadcast("room/bob")).track("chat");
		const subscriber = await track.subscribe({ ordered: true, maxLatencyMs: 5000 });
		chat.writeFrame("hello");
		const group = chat.appendGroup();
		group.writeFrame("again");
		group.writeFrame(new Uint8Array(100_000).fill(7));
		group.finish();
		chat.finish();
		const seen: [number, number, string][] = [];
		for await (const group of subscriber) {
			for await (const frame of group) seen.push([group.sequence, frame.index, frame.size > 99 ? "big" : frame.text()]);
		}
		expect(seen).toEqual([
			[0, 0, "hello"],
			[1, 0, "again"],
			[1, 1, "big"],
		]);
		expect(await subscriber.finished).toBe(2);
		await chat.closed;
	});
});

test("an announcement arrives, can be read from, and its end is told", async () => {
	const { near, far } = await pair();
	const announced = far.announced("room");
	const broadcast = near.createBroadcast("room/bob");
	broadcast.createTrack("chat").writeFrame("hi");
	const first = await announced.next();
	expect(first).toMatchObject({ path: "room/bob", event: "active" });
	const consumer = first?.broadcast;
	first?.free();
	const track = consumer?.track("chat");
	expect(await track?.info()).toMatchObject({ priority: 127 });
	broadcast.close();
	expect(await announced.next()).toMatchObject({ path: "room/bob", event: "ended" });
	await expect(consumer?.closed).rejects.toBeInstanceOf(DroppedError);
});

test.each(VERSIONS.slice(1))("a broadcast tells the way it came by, however it was found, over %s", async (version) => {
	const { near, far } = await pair(version);
	const announced = far.announced();
	const own = near.createBroadcast("room/bob", { hops: ["4611686018427387903"] });
	expect(own.info).toEqual({ hops: ["4611686018427387903"] });
	expect(own.consume().info).toEqual(own.info);
	const announcement = await announced.next();
	const { hops } = announcement as Announcement;
	expect(hops).toEqual(["4611686018427387903", expect.stringMatching(/^\d+$/)]);
	expect(announcement?.broadcast?.info).toEqual({ hops });
	const found = await far.waitForBroadcast("room/bob");
	expect(found.info).toEqual({ hops });
	expect(found.clone().info).toEqual({ hops });
	expect((await far.requestBroadcast("room/bob")).info).toEqual({ hops });
});

test("a broadcast that has passed an origin before is refused there, and announced to no peer", async () => {
	const { near, far } = await pair();
	const heard = far.announced();
	near.createBroadcast("first");
	const [id] = (await heard.next())?.hops ?? [];
	const again = near.createBroadcast("again", { hops: ["7", String(id)] });
	await expect(again.closed).rejects.toMatchObject({ kind: "duplicate" });
	near.createBroadcast("last");
	expect(await heard.next()).toMatchObject({ path: "last" });
});

test("a broadcast made here has passed nobody, and a way that is none is refused in the same turn", async () => {
	const { runtime } = await page();
	const origin = runtime.origin();
	const broadcast = origin.createBroadcast("mine");
	expect(broadcast.info).toEqual({ hops: [] });
	expect((await origin.requestBroadcast("mine")).info).toEqual({ hops: [] });
	for (const hops of [["x"], ["-1"], [7], ["1 2"], "7", Array(33).fill("7")]) {
		expect(() => origin.createBroadcast("other", { hops: hops as string[] })).toThrow(UsageError);
	}
	// Too large for an id, which only the core knows.
	const large = origin.createBroadcast("other", { hops: ["4611686018427387904"] });
	await expect(large.closed).rejects.toMatchObject({ kind: "usage" });
});

test("one old group is fetched without a subscription, and a missing one is not found", async () => {
	const { near, far } = await pair();
	const chat = near.createBroadcast("room/bob").createTrack("chat");
	for (const line of ["zero", "one", "two"]) chat.writeFrame(line);
	// Frames travel on a port of their own: a fetch may overtake them.
	const own = chat.consume();
	await expect.poll(async () => (await own.getGroup(2)) !== undefined).toBe(true);
	const track = (await far.waitForBroadcast("room/bob")).track("chat");
	const group = await track.fetchGroup(1);
	expect(group.sequence).toBe(1);
	expect((await group.readFrame())?.text()).toBe("one");
	expect(await group.readFrame()).toBeUndefined();
	expect(await (await track.getGroup(1))?.finished).toBe(1);
	expect(await track.getGroup(77)).toBeUndefined();
	await expect(track.fetchGroup(77)).rejects.toBeInstanceOf(NotFoundError);
});

test("requesting an unannounced path is not found after a round trip, and waiting can be withdrawn", async () => {
	const { runtime } = await page();
	const origin = runtime.origin();
	await expect(origin.requestBroadcast("nobody")).rejects.toBeInstanceOf(NotFoundError);
	const waiting = origin.waitForBroadcast("later");
	waiting.cancel();
	const found = origin.waitForBroadcast("later");
	origin.createBroadcast("later");
	expect((await found).path).toBe("later");
	expect(waiting.status).toBe("rejected");
});

test("an unknown track and a taken name are refused on the handle and on what follows", async () => {
	const { runtime } = await page();
	const origin = runtime.origin();
	const broadcast = origin.createBroadcast("mine");
	const track = broadcast.createTrack("chat");
	const twice = broadcast.createTrack("chat");
	await expect(twice.closed).rejects.toBeInstanceOf(UsageError);
	const unknown = (await origin.requestBroadcast("mine")).track("nope");
	const subscribing = unknown.subscribe();
	await expect(subscribing).rejects.toBeInstanceOf(NotFoundError);
	await expect(unknown.closed).rejects.toBeInstanceOf(NotFoundError);
	track.writeFrame("unharmed");
	const own = track.consume();
	await expect.poll(async () => (await own.getGroup(0)) !== undefined).toBe(true);
});

test("changing a subscription before it is confirmed reaches the publisher, and leaving takes the wish back", async () => {
	const { near, far } = await pair("moq-lite-06");
	const track = near.createBroadcast("room/bob").createTrack("chat");
	const reader = (await far.waitForBroadcast("room/bob")).track("chat");
	const pending = reader.subscribe({ priority: 1 });
	pending.update({ priority: 9 });
	const subscriber = await pending;
	let subscription = await track.subscriptionChanged();
	while (subscription?.priority !== 9) subscription = await track.subscriptionChanged();
	await track.used();
	subscriber.close();
	while (subscription?.priority === 9) subscription = await track.subscriptionChanged();
	expect(track.subscription?.priority ?? 0).toBe(0);
});

test("cancelling a subscription in the page leaves the publisher without one", async () => {
	const { runtime } = await page();
	const track = runtime.origin().createBroadcast("mine").createTrack("chat");
	const pending = track.consume().subscribe({ priority: 3 });
	expect(await track.subscriptionChanged()).toMatchObject({ priority: 3 });
	(await pending).close();
	expect(await track.subscriptionChanged()).toBeNull();
	const cancelled = track.consume().subscribe({ priority: 4 });
	cancelled.cancel();
	await expect(cancelled).rejects.toMatchObject({ kind: "cancelled" });
	expect(track.subscription).toBeUndefined();
});

test("a slow reader holds the publisher back without losing its group, whatever the window", async () => {
	const { near, far } = await pair();
	const data = near.createBroadcast("room/bob").createTrack("data");
	const subscriber = await (await far.waitForBroadcast("room/bob")).track("data").subscribe({ maxLatencyMs: 10_000 });
	const group = data.appendGroup();
	const count = 1000;
	for (let index = 0; index < count; index++) {
		await group.ready;
		group.writeFrame(`${index}`);
	}
	group.finish();
	data.finish();
	const reading = await subscriber.nextGroup();
	const seen: number[] = [];
	if (reading) for await (const frame of reading) seen.push(Number(frame.text()));
	expect(seen).toEqual(Array.from({ length: count }, (_, index) => index));
});

test("groups that are taken and never read do not stop the ones that follow", async () => {
	const { near, far } = await pair();
	const data = near.createBroadcast("room/bob").createTrack("data");
	const track = (await far.waitForBroadcast("room/bob")).track("data");
	const subscriber = await track.subscribe({ maxLatencyMs: 10_000 });
	const groups = 20;
	for (let sequence = 0; sequence < groups; sequence++) {
		const group = data.appendGroup();
		for (let index = 0; index < 50; index++) {
			await group.ready;
			group.writeFrame("x");
		}
		group.finish();
	}
	data.finish();
	const sequences: number[] = [];
	for await (const group of subscriber) sequences.push(group.sequence);
	expect(sequences).toEqual(Array.from({ length: groups }, (_, sequence) => sequence));
});

test("a lost network ends the connection, and its broadcasts, with an error", async () => {
	const { near, far, lose } = await pair();
	near.createBroadcast("room/bob").createTrack("chat");
	const consumer = await far.waitForBroadcast("room/bob");
	const subscriber = await consumer.track("chat").subscribe();
	const waiting = subscriber.nextGroup();
	lose();
	await expect(far.closed).rejects.toBeInstanceOf(TransportError);
	expect(far.state).toBe("closed");
	await expect(waiting).rejects.toBeDefined();
	await expect(consumer.closed).rejects.toBeDefined();
});

test("the origin that was made for a connection ends with it, and what waits there with the cause", async () => {
	const { near, far, lose } = await pair();
	const broadcast = near.createBroadcast("room/bob");
	const chat = broadcast.createTrack("chat");
	const found = near.waitForBroadcast("never");
	const announced = far.announced("none");
	const next = announced.next();
	lose();
	const error: unknown = await near.closed.catch((reason: unknown) => reason);
	await expect(found).rejects.toBe(error);
	await expect(broadcast.closed).rejects.toBe(error);
	await expect(chat.closed).rejects.toBe(error);
	await expect(near.requestBroadcast("again")).rejects.toBe(error);
	expect(() => near.createBroadcast("again")).toThrow(error as Error);
	await expect(next).rejects.toBe(await far.closed.catch((reason: unknown) => reason));
});

test("an origin of the page's own outlives the connections that used it", async () => {
	const two = await joined("moq-lite-05");
	open.push(two.left, two.right);
	two.near.close();
	await two.near.closed;
	const origin = two.left.runtime.origin();
	const network = memoryPair("moq-lite-05");
	two.left.dial = () => Promise.resolve(network.left);
	two.right.dial = () => Promise.resolve(network.right);
	const options = { versions: ["moq-lite-05"] as const };
	const [near, far] = await Promise.all([
		two.left.runtime.connect("https://left.example/", { ...options, publish: origin, consume: origin }),
		two.right.runtime.connect("https://right.example/", options),
	]);
	near.close();
	await Promise.all([near.closed, far.closed]);
	origin.createBroadcast("still here");
	expect((await origin.requestBroadcast("still here")).path).toBe("still here");
});

test("a connection that is closed right before its runtime still tells its peer why", async () => {
	const { left, near, far } = await pair();
	near.close(64, "moving house");
	await left.runtime.close();
	await expect(far.closed).rejects.toMatchObject({ kind: "app", code: 64, reason: "moving house" });
});

test("closing a connection with a code tells the peer code and reason", async () => {
	const { near, far } = await pair();
	near.close(64 + 7, "bye");
	expect(await near.closed).toMatchObject({ local: true });
	await expect(far.closed).rejects.toMatchObject({ kind: "app", code: 71, scope: "session" });
	const again = await pair();
	again.near.close(0, "done");
	expect(await again.far.closed).toMatchObject({ local: false });
});

test("a connect that is cancelled lets go of its dial", async () => {
	const { runtime, ...rest } = await page();
	let signal: AbortSignal | undefined;
	const dialed = new Promise<void>((resolve) => {
		const core = open.at(-1);
		if (!core) throw new Error("no page");
		core.dial = (given) => {
			signal = given;
			resolve();
			return new Promise((_, reject) => given.addEventListener("abort", () => reject(given.reason)));
		};
	});
	expect(rest.isTerminated).toBe(false);
	const connecting = runtime.connect("https://relay.example/");
	await dialed;
	connecting.cancel();
	await expect.poll(() => signal?.aborted).toBe(true);
	await expect(connecting).rejects.toMatchObject({ kind: "cancelled" });
});

test("stale, foreign and malformed ids are refused and change nothing", async () => {
	const { link, runtime } = await page();
	const origin = runtime.origin();
	const before = await runtime.stats();
	const calls = [
		link.ask("free", { id: 4711 }),
		link.ask("free", { id: -1 }),
		link.ask("free", { id: "1" as never }),
		link.ask("waitForBroadcast", { broadcast: 900, origin: 4711, path: "a" }),
		link.ask("waitForBroadcast", { broadcast: 1, origin: 1, path: "a" }),
		link.ask("waitForBroadcast", { broadcast: Number.NaN, origin: 1, path: "a" }),
		link.ask("waitForBroadcast", { broadcast: 901, origin: 1, path: 5 as never }),
		link.ask("track", { track: 902, broadcast: 1, name: "an origin is no broadcast" }),
		link.ask("fetchGroup", { group: 903, track: 1, sequence: 1, credit: { frames: 1, bytes: 1 }, port: 7 as never }),
	];
	for (const call of calls) await expect(call).rejects.toMatchObject({ kind: "usage" });
	// A refused making keeps its id until it is freed.
	await link.ask("free", { id: 902 });
	expect((await runtime.stats()).ids).toEqual(before.ids);
	origin.createBroadcast("still works");
	expect((await origin.requestBroadcast("still works")).path).toBe("still works");
});

test("a hundred rounds of every handle leave every count where it was", async () => {
	const { left, right, near, far } = await pair();
	const broadcast = near.createBroadcast("room/bob");
	const chat = broadcast.createTrack("chat");
	chat.writeFrame("hello");
	const warm = await far.waitForBroadcast("room/bob");
	const track = warm.track("chat");
	(await track.subscribe()).close();
	track.close();
	warm.close();
	const settledCounts = async () =>
		[await left.live(), await right.live()].map(({ ids, handles }) => ({ ids, handles }));
	// A track nobody reads any more lingers for five seconds.
	await expect.poll(() => chat.subscription, { timeout: 8000 }).toBeUndefined();
	const before = await settledCounts();
	for (let round = 0; round < 100; round++) {
		const consumer = await far.waitForBroadcast("room/bob");
		const track = consumer.track("chat");
		const subscriber = await track.subscribe();
		track.subscribe().cancel();
		await (await track.fetchGroup(0)).readFrame();
		const announced = far.announced();
		(await announced.next())?.free();
		announced.close();
		far.waitForBroadcast("never").cancel();
		subscriber.close();
		track.close();
		consumer.clone().close();
		consumer.close();
	}
	await expect.poll(settledCounts, { timeout: 8000 }).toEqual(before);
}, 30_000);

test("going on frees the announcement before, unless it was kept, and a broadcast that was taken out stays", async () => {
	const { runtime } = await page();
	const origin = runtime.origin();
	for (const path of ["a", "b", "c"]) origin.createBroadcast(path);
	const kept: Announcement[] = [];
	const taken: (BroadcastConsumer | undefined)[] = [];
	const ids = async () => (await runtime.stats()).ids.broadcast ?? 0;
	let seen = 0;
	for await (const announcement of origin.announced()) {
		if (announcement.path === "b") {
			announcement.retain();
			kept.push(announcement);
		}
		if (announcement.path === "c") taken.push(announcement.broadcast);
		if (++seen === 3) break;
	}
	expect(seen).toBe(3);
	// "a" was freed; "b" is held by the record, "c" by the broadcast.
	await expect.poll(ids).toBe(2);
	expect(kept[0]?.broadcast?.path).toBe("b");
	kept[0]?.broadcast?.close();
	await expect.poll(ids).toBe(1);
	taken[0]?.close();
	await expect.poll(ids).toBe(0);
	expect(() => kept[0]?.free()).not.toThrow();
});
