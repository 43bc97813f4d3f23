// What holds for every call and every handle of the page alike.
import { afterEach, expect, onTestFinished, test } from "vitest";
import { ClosedError, connect, type Handle, MoqError, type Pending, UsageError } from "../../../src/index.ts";
import { type CorePage, joined } from "../../support/core-page.ts";

const open: CorePage[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((page) => page.close()));
});

/** One of every handle, live and with nothing to read. */
async function world() {
	const { left, right, near } = await joined("moq-lite-06");
	open.push(left, right);
	const { runtime } = left;
	const origin = runtime.origin();
	const broadcast = origin.createBroadcast("room");
	const consumer = await origin.requestBroadcast("room");
	const producer = broadcast.createTrack("chat");
	const track = consumer.track("chat");
	const subscriber = await track.subscribe({ maxLatencyMs: 5000 });
	const written = producer.appendGroup();
	written.writeFrame("first");
	const group = await subscriber.nextGroup();
	await group?.readFrame();
	const originDynamic = origin.dynamic();
	origin.requestBroadcast("wanted");
	const broadcastRequest = await originDynamic.requestedBroadcast();
	const broadcastDynamic = broadcast.dynamic();
	consumer.track("wanted").subscribe();
	const trackRequest = await broadcastDynamic.requestedTrack();
	const trackDynamic = producer.dynamic();
	track.fetchGroup(7);
	const groupRequest = await trackDynamic.requestedGroup();
	if (!group) throw new Error("the group did not come");
	return {
		runtime,
		connection: near,
		origin,
		view: origin.withRoot("room"),
		publication: origin.publish("again", consumer),
		announced: origin.announced("nothing"),
		broadcast,
		consumer,
		producer,
		track,
		subscriber,
		written,
		group,
		originDynamic,
		broadcastRequest,
		broadcastDynamic,
		trackRequest,
		trackDynamic,
		groupRequest,
	};
}
type World = Awaited<ReturnType<typeof world>>;
type Options = { signal?: AbortSignal };
/** A Pending of anything: those of different things are no subtypes of each other. */
type Waiting = Pick<Pending<never>, "status" | "cancel"> & PromiseLike<unknown>;

/** Every call that waits, by the handle it belongs to. */
const waits: Partial<Record<keyof World, Record<string, (of: World, options: Options) => Waiting>>> = {
	runtime: {
		connect: ({ runtime }, options) => runtime.connect("https://relay.example", options),
		stats: ({ runtime }, options) => runtime.stats(options),
	},
	connection: {
		requestBroadcast: ({ connection }, options) => connection.requestBroadcast("a", options),
		waitForBroadcast: ({ connection }, options) => connection.waitForBroadcast("a", options),
		stats: ({ connection }, options) => connection.stats(options),
	},
	origin: {
		requestBroadcast: ({ origin }, options) => origin.requestBroadcast("room", options),
		waitForBroadcast: ({ origin }, options) => origin.waitForBroadcast("room", options),
	},
	announced: { next: ({ announced }, options) => announced.next(options) },
	broadcast: {
		insertTrack: ({ broadcast, track }, options) => broadcast.insertTrack(track, options),
		removeTrack: ({ broadcast }, options) => broadcast.removeTrack("chat", options),
	},
	producer: {
		subscribe: ({ producer }, options) => producer.subscribe(options),
		subscriptionChanged: ({ producer }, options) => producer.subscriptionChanged(options),
		used: ({ producer }, options) => producer.used(options),
		unused: ({ producer }, options) => producer.unused(options),
	},
	track: {
		info: ({ track }, options) => track.info(options),
		subscribe: ({ track }, options) => track.subscribe(options),
		getGroup: ({ track }, options) => track.getGroup(0, options),
		fetchGroup: ({ track }, options) => track.fetchGroup(3, options),
	},
	subscriber: {
		nextGroup: ({ subscriber }, options) => subscriber.nextGroup(options),
		recvGroup: ({ subscriber }, options) => subscriber.recvGroup(options),
		recvDatagram: ({ subscriber }, options) => subscriber.recvDatagram(options),
		getGroup: ({ subscriber }, options) => subscriber.getGroup(9, options),
		readFrame: ({ subscriber }, options) => subscriber.readFrame(options),
	},
	group: {
		readFrame: ({ group }, options) => group.readFrame(options),
		getFrame: ({ group }, options) => group.getFrame(1, options),
	},
	originDynamic: {
		next: ({ originDynamic }, options) => originDynamic.next(options),
		requestedBroadcast: ({ originDynamic }, options) => originDynamic.requestedBroadcast(options),
	},
	broadcastDynamic: { requestedTrack: ({ broadcastDynamic }, options) => broadcastDynamic.requestedTrack(options) },
	trackDynamic: { requestedGroup: ({ trackDynamic }, options) => trackDynamic.requestedGroup(options) },
	broadcastRequest: { unused: ({ broadcastRequest }, options) => broadcastRequest.unused(options) },
	trackRequest: {
		unused: ({ trackRequest }, options) => trackRequest.unused(options),
		subscriptionChanged: ({ trackRequest }, options) => trackRequest.subscriptionChanged(options),
	},
	groupRequest: { unused: ({ groupRequest }, options) => groupRequest.unused(options) },
};
const calls = Object.entries(waits).flatMap(([handle, methods]) =>
	Object.entries(methods).map(([name, call]) => ({ handle: handle as keyof World, name, call })),
);

/** Fails the test that is running for a rejection nobody handled. */
function noneUnhandled(): void {
	const reasons: unknown[] = [];
	const note = (reason: unknown) => reasons.push(reason);
	process.on("unhandledRejection", note);
	onTestFinished(async () => {
		await new Promise((resolve) => setImmediate(resolve));
		process.off("unhandledRejection", note);
		expect(reasons).toEqual([]);
	});
}

test("every call that waits takes a signal: aborting it cancels in the same turn, with its reason", async () => {
	noneUnhandled();
	const all = await world();
	for (const { handle, name, call } of calls) {
		const reason = new Error("navigated away");
		expect(call(all, { signal: AbortSignal.abort(reason) }).status, `${handle}.${name}`).toBe("rejected");
		const controller = new AbortController();
		const pending = call(all, { signal: controller.signal });
		// What the page knows already, like whether somebody holds a track, needs no waiting.
		if (pending.status === "fulfilled") continue;
		expect(pending.status, `${handle}.${name}`).toBe("pending");
		controller.abort(reason);
		expect(pending.status, `${handle}.${name}`).toBe("rejected");
		await expect(pending).rejects.toMatchObject({ kind: "cancelled", cause: reason });
	}
});

test("on a handle that was closed every call that waits is rejected in the same turn, and says so", async () => {
	noneUnhandled();
	const all = await world();
	const closing: Partial<Record<keyof World, World[keyof World]>> = { ...all };
	// These two close what the others need, and the stream of announcements ends instead.
	const { runtime: _, announced, ...handles } = closing;
	for (const handle of Object.values(handles).reverse()) handle?.close();
	for (const { handle, name, call } of calls) {
		if (!(handle in handles)) continue;
		// The last change of what subscribers want is still told.
		if (handle === "producer" && name === "subscriptionChanged") call(all, {}).cancel();
		const pending = call(all, {});
		expect(pending.status, `${handle}.${name}`).toBe("rejected");
		await expect(pending, `${handle}.${name}`).rejects.toBeInstanceOf(ClosedError);
	}
	all.announced.close();
	expect(await all.announced.next()).toBeUndefined();
	expect(announced).toBe(all.announced);
	await all.runtime.close();
	for (const [name, call] of Object.entries(waits.runtime ?? {})) {
		expect(call(all, {}).status, name).toBe("rejected");
	}
});

test("closing a handle rejects what waits on it in the same turn; what was asked for by way of a track goes on", async () => {
	noneUnhandled();
	const all = await world();
	const { runtime: _runtime, ...handles } = all;
	/** These have handles of their own from the moment of the call. */
	const goOn = ["producer.subscribe", "track.subscribe", "track.getGroup", "track.fetchGroup"];
	const waiting = calls
		.filter(({ handle }) => handle in handles && handle !== "announced")
		.map(({ handle, name, call }) => ({ name: `${handle}.${name}`, pending: call(all, {}) }))
		.filter(({ pending }) => pending.status === "pending");
	const announced = all.announced.next();
	for (const handle of Object.values(handles).reverse()) handle.close();
	for (const { name, pending } of waiting) {
		if (goOn.includes(name)) continue;
		expect(pending.status, name).toBe("rejected");
		await expect(pending, name).rejects.toBeInstanceOf(ClosedError);
	}
	expect(announced.status).toBe("fulfilled");
	expect(await announced).toBeUndefined();
	for (const { pending } of waiting) pending.cancel();
	expect(waiting.length).toBeGreaterThan(15);
});

test("what the page can see to be wrong is rejected in the same turn, by a usage error that names it", async () => {
	noneUnhandled();
	const { origin, track, subscriber, group, broadcast, consumer } = await world();
	const wrong: [string, () => Waiting][] = [
		["path", () => origin.requestBroadcast(7 as never)],
		["path", () => origin.waitForBroadcast(undefined as never)],
		["priority", () => track.subscribe({ priority: 256 })],
		["ordered", () => track.subscribe({ ordered: 1 as never })],
		["maxLatencyMs", () => track.subscribe({ maxLatencyMs: 0.5 })],
		["groupEnd 1 is before groupStart 2", () => track.subscribe({ groupStart: 2, groupEnd: 1 })],
		["sequence", () => track.getGroup(-1)],
		["sequence", () => track.fetchGroup(2 ** 53)],
		["frameStart", () => track.fetchGroup(1, { frameStart: Number.NaN })],
		["sequence", () => subscriber.getGroup("1" as never)],
		["index", () => group.getFrame(-1)],
		["name", () => broadcast.removeTrack(null as never)],
		["track is not a handle", () => broadcast.insertTrack(consumer as never)],
	];
	for (const [message, call] of wrong.slice(0, -1)) {
		const pending = call();
		expect(pending.status, message).toBe("rejected");
		const error = await pending.then(undefined, (reason: unknown) => reason);
		expect(error, message).toBeInstanceOf(UsageError);
		expect(String(error)).toContain(message);
	}
	// A handle of another kind is one, which only the worker can tell.
	await expect(broadcast.insertTrack(consumer as never)).rejects.toBeInstanceOf(UsageError);
	await expect(broadcast.insertTrack({} as never)).rejects.toThrow("track is not a handle");
});

test("every handle ends with the scope of using, and tells it where it has closed", async () => {
	noneUnhandled();
	const { runtime, ...all } = await world();
	for (const [name, handle] of Object.entries(all).reverse()) {
		{
			using scoped = handle;
			expect(scoped).toBe(handle);
		}
		if ("closed" in handle) await handle.closed;
		// Closing again is nothing new.
		expect(() => handle.close(), name).not.toThrow();
	}
	await runtime[Symbol.asyncDispose]();
	expect(runtime.error).toBeInstanceOf(ClosedError);
});

test.each(["break", "throw"] as const)("leaving a loop by %s closes what was iterated", async (how) => {
	/** Takes the first item and leaves. */
	async function leave(items: AsyncIterable<unknown>): Promise<void> {
		const out = new Error("out of the loop");
		try {
			for await (const _ of items) {
				if (how === "throw") throw out;
				break;
			}
		} catch (error) {
			expect(error).toBe(out);
		}
	}

	const { origin, originDynamic, broadcastDynamic, trackDynamic, consumer, track, subscriber, producer, ...all } =
		await world();
	const announced = origin.announced();
	await leave(announced);
	await announced.closed;
	origin.requestBroadcast("wanted too").cancel();
	origin.requestBroadcast("wanted more");
	await leave(originDynamic);
	await originDynamic.closed;
	consumer.track("wanted too").subscribe();
	await leave(broadcastDynamic);
	await broadcastDynamic.closed;
	track.fetchGroup(8);
	await leave(trackDynamic);
	await trackDynamic.closed;
	all.written.writeFrame("second");
	await leave(all.group);
	await expect(all.group.readFrame()).rejects.toBeInstanceOf(ClosedError);
	producer.writeFrame("next group");
	await leave(subscriber);
	await subscriber.closed;
	await expect(subscriber.nextGroup()).rejects.toBeInstanceOf(ClosedError);
});

test("a handle that is refused says so on closed and on the next call that waits, and never unhandled", async () => {
	noneUnhandled();
	const { origin, broadcast, producer, consumer } = await world();
	const outside = origin.scope(["elsewhere"]);
	const nowhere = outside.scope(["room"]);
	const refused: [string, Pick<Handle, "closed">, (() => Waiting)?][] = [
		["unauthorized", outside.createBroadcast("room/mine")],
		["unauthorized", outside.publish("room/mine", consumer)],
		["unauthorized", nowhere, () => nowhere.requestBroadcast("a")],
	];
	const twice = broadcast.createTrack("chat");
	refused.push(["duplicate", twice, () => twice.used()]);
	const group = producer.createGroup(0);
	refused.push(["duplicate", group]);
	const closing = origin.createBroadcast("closing");
	const reader = closing.consume();
	closing.close();
	const late = reader.track("late");
	refused.push(["dropped", late, () => late.info()]);
	for (const [kind, handle, next] of refused) {
		const error: unknown = await handle.closed.catch((reason: unknown) => reason);
		expect(error, kind).toBeInstanceOf(MoqError);
		expect(error).toMatchObject({ kind });
		if (!next) continue;
		const pending = next();
		expect(pending.status, kind).toBe("rejected");
		await expect(pending).rejects.toBe(error);
	}
});

test("waits of every kind on one subscription go on side by side, and each is served", async () => {
	const { subscriber, producer, written } = await world();
	written.finish();
	const fifth = subscriber.getGroup(5);
	const datagram = subscriber.recvDatagram();
	const [first, second] = [subscriber.nextGroup(), subscriber.nextGroup()];
	subscriber.update({ priority: 3, maxLatencyMs: 5000 });
	producer.writeFrame("one");
	producer.writeFrame("two");
	expect((await (await first)?.readFrame())?.text()).toBe("one");
	expect((await (await second)?.readFrame())?.text()).toBe("two");
	const frame = subscriber.readFrame();
	producer.writeDatagram("small");
	expect((await datagram)?.text()).toBe("small");
	expect((await frame)?.text()).toBe("small");
	producer.createGroup(5).writeFrame("five");
	expect((await (await fifth)?.readFrame())?.text()).toBe("five");
});

test("closing a broadcast with a code fails its unfinished tracks with it, and no others", async () => {
	const { broadcast, producer, group, track, subscriber } = await world();
	const done = broadcast.createTrack("done");
	done.writeFrame("whole");
	done.finish();
	const reading = await done.subscribe({ maxLatencyMs: 5000 });
	broadcast.close(7);
	await expect(subscriber.nextGroup()).rejects.toMatchObject({ kind: "app", code: 7 });
	await expect(track.subscribe()).rejects.toMatchObject({ kind: "app", code: 7 });
	await expect(group.readFrame()).rejects.toMatchObject({ kind: "app", code: 7 });
	expect((await reading.readFrame())?.text()).toBe("whole");
	expect(await reading.nextGroup()).toBeUndefined();
	await Promise.all([broadcast.closed, producer.closed, done.closed]);
});

test("reading what a handle promises about its end makes nothing new", async () => {
	const { origin, broadcast, producer, group, track, subscriber } = await world();
	const written = producer.appendGroup();
	for (const handle of [origin, broadcast, producer, track, subscriber, written]) {
		expect(handle.closed).toBe(handle.closed);
	}
	for (const read of [subscriber, group]) expect(read.finished).toBe(read.finished);
	written.finish();
});

test("in Node the library can be imported, and connecting says where it belongs", async () => {
	const before = new Set(Reflect.ownKeys(globalThis));
	await import("../../../src/media/index.ts");
	expect(Reflect.ownKeys(globalThis).filter((key) => !before.has(key))).toEqual([]);
	const connecting = connect("https://relay.example/demo");
	await expect(connecting).rejects.toBeInstanceOf(UsageError);
	await expect(connecting).rejects.toThrow(/needs a browser.*client only/);
});
