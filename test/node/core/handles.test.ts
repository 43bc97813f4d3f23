import { afterEach, beforeEach, expect, test } from "vitest";
import { Core } from "../../../worker/core/core.ts";
import { Announcements, Collector, type Handle, kindOf, startCore } from "../../support/core.ts";

let core: Core;
let origin: Handle;
let start: ReturnType<Core["stats"]>["handles"];

beforeEach(async () => {
	core = await startCore();
	start = core.stats().handles;
	origin = core.createOrigin();
});

/** Everything a test made was freed by it; `origin` is the last. */
afterEach(() => {
	core.free(origin);
	expect(core.stats()).toMatchObject({ handles: start, operations: 0 });
	core.close();
});

test("a request is registered when the call returns", async () => {
	const handler = core.dynamic(origin);
	const first = core.requestBroadcast(origin, "a");
	const second = core.requestBroadcast(origin, "a");
	const { request, data } = await core.nextRequest(handler).result;
	expect(data).toEqual({ path: "a" });
	core.rejectRequest(request, { kind: "unauthorized" });
	expect(await kindOf(() => first.result)).toBe("unauthorized");
	expect(await kindOf(() => second.result)).toBe("unauthorized");
	core.free(handler);
});

test("a request that succeeded ends there: withdrawing it leaves the broadcast it gave", async () => {
	const own = core.createBroadcast(origin, "a");
	const track = core.createTrack(own, "chat");
	const operation = core.requestBroadcast(origin, "a");
	const broadcast = await operation.result;
	operation.cancel();
	expect(await operation.result).toBe(broadcast);
	const found = core.track(broadcast, "chat");
	for (const handle of [found, broadcast, track, own]) core.free(handle);
});

test("a withdrawal beats an answer that comes in the same turn, and the broadcast goes with it", async () => {
	const handler = core.dynamic(origin);
	const operation = core.requestBroadcast(origin, "a");
	const { request } = await core.nextRequest(handler).result;
	const own = core.makeBroadcast();
	core.acceptBroadcast(request, own);
	operation.cancel();
	expect(await kindOf(() => operation.result)).toBe("cancelled");
	core.free(own);
	core.free(handler);
});

test("there is no way to get a broadcast by its path but to ask and wait", () => {
	const names = Object.getOwnPropertyNames(Core.prototype).filter((name) => /broadcast/i.test(name));
	expect(new Set(names)).toEqual(
		new Set([
			"acceptBroadcast",
			"broadcastClosed",
			"broadcastInfo",
			"cloneBroadcast",
			"createBroadcast",
			"announceBroadcast",
			"makeBroadcast",
			"requestBroadcast",
			"waitForBroadcast",
		]),
	);
});

test("what an announcement brought outlives the listener, is freed on its own, and once", async () => {
	const announcements = new Announcements();
	const listener = core.announced(origin, "", announcements);
	const own = core.createBroadcast(origin, "a");
	const { broadcast } = await announcements.next();
	core.free(listener);
	expect(await kindOf(() => core.free(listener))).toBe("usage");
	core.free(own);
	// Its path ended, and nobody hears of it; the handle is as good as before.
	const ended = await core.broadcastClosed(broadcast as Handle).result;
	expect(ended.kind).toBe("dropped");
	expect(announcements.records).toEqual([]);
	expect(announcements.ended).toBe(false);
	core.free(broadcast as Handle);
	expect(await kindOf(() => core.free(broadcast as Handle))).toBe("usage");
});

test("a thousand announcements, each freed, leave nothing", async () => {
	const announcements = new Announcements();
	const listener = core.announced(origin, "", announcements);
	const before = core.stats();
	for (let round = 0; round < 1000; round++) {
		const own = core.createBroadcast(origin, `room/${round % 7}`);
		const { broadcast } = await announcements.next();
		core.free(broadcast as Handle);
		core.free(own);
		expect(await announcements.next()).toMatchObject({ event: "ended" });
	}
	const { handles, model, tasks, operations } = core.stats();
	expect({ handles, model, tasks, operations }).toEqual({
		handles: before.handles,
		model: before.model,
		tasks: before.tasks,
		operations: before.operations,
	});
	core.free(listener);
});

test("whoever is told something may call the core at once", async () => {
	const own = core.createBroadcast(origin, "a");
	const track = core.createTrack(own, "chat");
	const sink = new Collector();
	const reader = core.consumeTrack(track);
	const { handle } = core.subscribe(reader, {}, sink);
	core.grant(handle, 10, 1000);
	const done = new Promise<void>((resolve) => {
		sink.onBatch = () => {
			core.free(handle);
			core.writeTrackFrame(track, new Uint8Array(1));
			resolve();
		};
	});
	let found: Handle[] = [];
	const listener = core.announced(origin, "", {
		event: ({ broadcast }) => {
			if (broadcast === undefined) return;
			found = [core.track(broadcast, "chat"), core.cloneBroadcast(broadcast), broadcast];
		},
		end: () => undefined,
	});
	core.writeTrackFrame(track, new Uint8Array(1));
	await done;
	await expect.poll(() => found.length).toBe(3);
	for (const it of [...found, listener, reader, track, own]) core.free(it);
});

test("a request of any level that is freed unanswered is rejected", async () => {
	const origins = core.dynamic(origin);
	const broadcast = core.requestBroadcast(origin, "a");
	core.free((await core.nextRequest(origins).result).request);
	expect(await kindOf(() => broadcast.result)).toBe("not-found");

	const own = core.makeBroadcast();
	const source = core.consume(own);
	const tracks = core.dynamic(own);
	const asked = core.track(source, "chat");
	const info = core.trackInfo(asked);
	core.free((await core.nextRequest(tracks).result).request);
	expect(await kindOf(() => info.result)).toBe("dropped");

	const made = core.createTrack(own, "data");
	const groups = core.dynamic(made);
	const reader = core.consumeTrack(made);
	const fetching = core.fetchGroup(reader, 3, {}, new Collector());
	const { request, data } = await core.nextRequest(groups).result;
	expect(data).toEqual({ sequence: 3, priority: 0, frameStart: 0 });
	core.free(request);
	expect(await kindOf(() => fetching.result)).toBe("dropped");
	for (const handle of [groups, reader, made, tracks, asked, source, own, origins]) core.free(handle);
});

test("an answer of the wrong kind is refused and leaves the request as it was", async () => {
	const handler = core.dynamic(origin);
	const waiting = core.requestBroadcast(origin, "a");
	const { request } = await core.nextRequest(handler).result;
	for (const wrong of [
		() => core.acceptTrack(request),
		() => core.acceptGroup(request),
		() => core.acceptBroadcast(request, origin),
		() => core.rejectRequest(request, { kind: "usage" }),
		() => core.rejectRequest(request, { code: 65_536 }),
		() => core.dynamic(request),
		() => core.dynamic(handler),
	]) {
		expect(await kindOf(wrong)).toBe("usage");
	}
	const own = core.makeBroadcast();
	core.acceptBroadcast(request, own);
	const given = await waiting.result;
	expect(await kindOf(() => core.rejectRequest(request, { code: 1 }))).toBe("usage");
	for (const handle of [given, own, handler]) core.free(handle);
});

test("who stops waiting for a request takes none, and the largest number a page can hold is asked for", async () => {
	const own = core.makeBroadcast();
	const track = core.createTrack(own, "data");
	const handler = core.dynamic(track);
	const asking = core.nextRequest(handler);
	asking.cancel();
	expect(await kindOf(() => asking.result)).toBe("cancelled");
	const reader = core.consumeTrack(track);
	const fetching = core.fetchGroup(reader, Number.MAX_SAFE_INTEGER, {}, new Collector());
	const { request, data } = await core.nextRequest(handler).result;
	expect(data).toMatchObject({ sequence: Number.MAX_SAFE_INTEGER });
	core.rejectRequest(request, { code: 0 });
	expect(await kindOf(() => fetching.result)).toBe("app");
	for (const handle of [reader, handler, track, own]) core.free(handle);
});
