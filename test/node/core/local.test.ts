import { afterEach, beforeEach, expect, test } from "vitest";
import type { Core } from "../../../worker/core/core.ts";
import { Collector, kindOf, startCore } from "../../support/core.ts";

const encoder = new TextEncoder();

let core: Core;
let origin: number;
let broadcast: number;
let track: number;

beforeEach(async () => {
	core = await startCore();
	origin = core.createOrigin();
	broadcast = core.createBroadcast(origin, "local");
	track = core.createTrack(broadcast, "data");
});

afterEach(() => core.close());

/** A reader of our own track, in the same core. */
async function read(prefs = {}, sink = new Collector()): Promise<{ sink: Collector; handle: number }> {
	const reading = core.consumeTrack(track);
	const { handle, result } = core.subscribe(reading, prefs, sink);
	await result;
	return { sink, handle };
}

/** Let everything that is ready happen: a few turns of the event loop. */
async function settle(): Promise<void> {
	for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test("nothing flows before the first grant, and then as much as was granted", async () => {
	const { sink, handle } = await read();
	const { handle: group } = core.createGroup(track);
	for (const text of ["a", "b", "c"]) core.writeFrame(group, encoder.encode(text));
	await settle();
	expect(sink.records).toEqual([]);
	core.grant(handle, 2, 100);
	await sink.until(() => sink.texts().length === 1);
	await settle();
	expect(sink.texts()).toEqual(["a"]);
	core.grant(handle, 5, 100);
	await sink.until(() => sink.texts().length === 3);
	expect(sink.frames).toBe(4);
	expect(sink.bytes).toBe(3);
});

test("one frame of any size passes while there is any credit", async () => {
	const { sink, handle } = await read();
	core.grant(handle, 10, 10);
	core.writeTrackFrame(track, new Uint8Array(5_000_000));
	await sink.until(() => sink.bytes > 0);
	expect(sink.bytes).toBe(5_000_000);
	core.writeTrackFrame(track, encoder.encode("next"));
	await settle();
	expect(sink.records.filter((record) => record.type === "frame")).toHaveLength(1);
	core.grant(handle, 2, 5_000_000);
	await sink.until(() => sink.texts().includes("next"));
});

test("a group that is read is not starved by a sibling that is not", async () => {
	const { sink, handle } = await read();
	const first = core.createGroup(track).handle;
	for (let frame = 0; frame < 10; frame++) core.writeFrame(first, encoder.encode(`first ${frame}`));
	core.grant(handle, 4, 1000);
	await sink.until(() => sink.frames === 4);
	const second = core.createGroup(track).handle;
	core.writeFrame(second, encoder.encode("second"));
	await settle();
	expect(sink.frames).toBe(4);
	core.want(handle, 0);
	await sink.until(() => sink.records.some((record) => record.type === "group" && record.sequence === 1));
	core.want(handle, 2);
	await sink.until(() => sink.texts().includes("second"));
	expect(sink.texts().filter((text) => text.startsWith("first"))).toHaveLength(3);
});

test("a skipped group sends nothing more and the others go on", async () => {
	const { sink, handle } = await read();
	core.grant(handle, 1, 1000);
	const first = core.createGroup(track).handle;
	core.writeFrame(first, encoder.encode("unwanted"));
	await sink.until(() => sink.records.length === 1);
	core.skip(handle, 1);
	core.writeTrackFrame(track, encoder.encode("wanted"));
	core.grant(handle, 10, 1000);
	await sink.until(() => sink.texts().length === 1);
	expect(sink.texts()).toEqual(["wanted"]);
});

test("a group that is overtaken and brings nothing more is given up, one within its latency is not", async () => {
	const impatient = await read({ maxLatencyMs: 0 });
	const patient = await read({ maxLatencyMs: 60_000 });
	for (const { handle } of [impatient, patient]) core.grant(handle, 100, 1000);
	const { handle: group } = core.createGroup(track);
	core.writeFrame(group, encoder.encode("begun"));
	core.writeTrackFrame(track, encoder.encode("newer"));
	const failed = () => impatient.sink.records.find((record) => record.type === "groupError");
	await impatient.sink.until(() => failed() !== undefined);
	expect(failed()).toMatchObject({ gid: 1 });
	core.writeFrame(group, encoder.encode("late"));
	core.finishGroup(group);
	await patient.sink.until(() => patient.sink.texts().includes("late"));
	expect(impatient.sink.texts()).toEqual(["begun", "newer"]);
});

test("what errors weigh is not taken from the credit", async () => {
	const { sink, handle } = await read();
	core.grant(handle, 1, 1000);
	const { handle: group } = core.createGroup(track);
	await sink.until(() => sink.frames === 1);
	core.abortGroup(group, { code: 9 });
	await sink.until(() => sink.records.some((record) => record.type === "groupError"));
	expect([sink.frames, sink.bytes]).toEqual([1, 0]);
});

test("a gap comes in its place and takes credit, one past the credit when it is wanted", async () => {
	const { sink, handle } = await read({ maxLatencyMs: 50 });
	core.grant(handle, 3, 1000);
	for (const sequence of [0, 3]) core.finishGroup(core.createGroup(track, sequence).handle);
	await sink.until(() => sink.frames === 3);
	for (const sequence of [5, 7]) core.finishGroup(core.createGroup(track, sequence).handle);
	await settle();
	expect(sink.frames).toBe(3);
	core.want(handle, 0);
	await sink.until(() => sink.frames === 4);
	core.want(handle, 0);
	await sink.until(() => sink.frames === 5);
	await settle();
	const told = sink.records.filter((record) => record.type === "group" || record.type === "gap");
	expect(told).toMatchObject([
		{ sequence: 0 },
		{ type: "gap", from: 1, to: 2, reason: "late" },
		{ sequence: 3 },
		{ type: "gap", from: 4, to: 4, reason: "late" },
		{ sequence: 5 },
	]);
});

test("what was read by arrival is no gap for a read in order", async () => {
	const { sink, handle } = await read({ maxLatencyMs: 50 });
	core.setOrder(handle, true);
	core.grant(handle, 100, 1000);
	for (const sequence of [4, 2]) core.finishGroup(core.createGroup(track, sequence).handle);
	await sink.until(() => sink.frames === 2);
	core.setOrder(handle, false);
	for (const sequence of [7, 5]) core.finishGroup(core.createGroup(track, sequence).handle);
	await sink.until(() => sink.frames === 5);
	const told = sink.records.filter((record) => record.type === "group" || record.type === "gap");
	expect(told).toMatchObject([
		{ sequence: 4 },
		{ sequence: 2 },
		{ sequence: 5 },
		{ type: "gap", from: 6, to: 6 },
		{ sequence: 7 },
	]);
});

test("the end of the track is told at once, unread groups or not", async () => {
	const { sink, handle } = await read();
	core.grant(handle, 1, 1000);
	core.writeTrackFrame(track, encoder.encode("unread"));
	core.finishTrack(track);
	await sink.until(() => sink.records.some((record) => record.type === "trackEnd"));
	expect(sink.ended).toBeUndefined();
	core.grant(handle, 1, 1000);
	await sink.until(() => sink.ended !== undefined);
	expect(sink.texts()).toEqual(["unread"]);
	expect(sink.ended).toEqual({});
});

test("an aborted track ends its readers with the application's code", async () => {
	const { sink, handle } = await read();
	core.grant(handle, 10, 1000);
	core.abortTrack(track, { kind: "going-away" });
	await sink.until(() => sink.ended !== undefined);
	expect(sink.ended?.error).toMatchObject({ kind: "going-away" });
});

test("frames of one turn travel in one batch", async () => {
	const { sink, handle } = await read();
	core.grant(handle, 1000, 1 << 20);
	await settle();
	const { handle: group } = core.createGroup(track);
	for (let frame = 0; frame < 500; frame++) core.writeFrame(group, encoder.encode("x"));
	await sink.until(() => sink.texts().length === 500);
	expect(sink.batches).toBe(1);
});

test("batchMs holds frames back for company", async () => {
	const { sink, handle } = await read({ batchMs: 50 });
	core.grant(handle, 1000, 1 << 20);
	const { handle: group } = core.createGroup(track);
	const began = performance.now();
	core.writeFrame(group, encoder.encode("first"));
	await settle();
	core.writeFrame(group, encoder.encode("second"));
	await sink.until(() => sink.texts().length === 2);
	expect(sink.batches).toBe(1);
	expect(performance.now() - began).toBeGreaterThan(45);
});

test("timestamps are in the units of the track", async () => {
	const timed = core.createTrack(broadcast, "timed", { timescale: 90_000 });
	const sink = new Collector();
	const { handle } = core.subscribe(core.consumeTrack(timed), {}, sink);
	core.grant(handle, 10, 1000);
	core.writeTrackFrame(timed, encoder.encode("x"), 12_345);
	await sink.until(() => sink.texts().length === 1);
	expect(sink.records[0]).toMatchObject({ type: "group", timescale: 90_000 });
	expect(sink.records[1]).toMatchObject({ type: "frame", timestamp: 12_345 });
	expect(await kindOf(() => core.writeTrackFrame(timed, encoder.encode("x")))).toBe("usage");
	expect(await kindOf(() => core.writeTrackFrame(track, encoder.encode("x"), 1))).toBe("usage");
});

test("a freed handle is an error for every call, and never means another object", async () => {
	const other = core.createTrack(broadcast, "other");
	core.free(other);
	const next = core.createTrack(broadcast, "next");
	expect(next).not.toBe(other);
	const calls = [
		() => core.free(other),
		() => core.finishTrack(other),
		() => core.createGroup(other),
		() => core.writeFrame(other, new Uint8Array(1)),
		() => core.trackUsed(other).result,
		() => core.free(0),
		() => core.free(Number.NaN),
		() => core.free(1.5),
		() => core.free(-1),
		() => core.free(Number.MAX_SAFE_INTEGER),
	];
	for (const call of calls) expect(await kindOf(call)).toBe("usage");
	expect(core.writeTrackFrame(next, new Uint8Array(1))).toBe(0);
});

test("a handle of another type is an error that names both", async () => {
	expect(await kindOf(() => core.createGroup(origin))).toBe("usage");
	expect(await kindOf(() => core.track(track, "x"))).toBe("usage");
});

test("numbers that are not whole and exact are refused", async () => {
	for (const value of [-1, 0.5, Number.POSITIVE_INFINITY, 2 ** 53]) {
		expect(await kindOf(() => core.createGroup(track, value))).toBe("usage");
	}
	expect(core.createGroup(track, Number.MAX_SAFE_INTEGER).sequence).toBe(Number.MAX_SAFE_INTEGER);
});

test("a frame above the limit is refused before it is copied", async () => {
	const { memoryBytes } = core.stats();
	const huge = new Uint8Array(400_000_000);
	expect(await kindOf(() => core.writeTrackFrame(track, huge))).toBe("too-large");
	expect(await kindOf(() => core.writeFrame(core.createGroup(track).handle, huge))).toBe("too-large");
	expect(core.stats().memoryBytes).toBe(memoryBytes);
});

test("cancelling rejects at once and releases in the same turn", async () => {
	const before = core.stats();
	const waiting = core.waitForBroadcast(origin, "never");
	expect(core.stats().operations).toBe(before.operations + 1);
	waiting.cancel();
	expect(core.stats()).toMatchObject({ operations: before.operations, tasks: before.tasks });
	expect(await kindOf(() => waiting.result)).toBe("cancelled");
	waiting.cancel();
});

test("freeing an object ends what watches it", async () => {
	const watching = core.trackUsed(track).result;
	const changed = core.subscriptionChanged(track).result;
	core.free(track);
	expect(await kindOf(() => watching)).toBe("closed");
	expect(await kindOf(() => changed)).toBe("closed");
});

test("demand is visible to the publisher", async () => {
	const used = core.trackUsed(track);
	const { handle } = await read({ priority: 9, maxLatencyMs: 250 });
	await used.result;
	expect(core.subscription(track)).toMatchObject({ priority: 9, maxLatencyMs: 250 });
	const before = await core.subscriptionChanged(track).result;
	expect(before).toMatchObject({ priority: 9 });
	const changed = core.subscriptionChanged(track).result;
	core.updateSubscription(handle, { priority: 3 });
	// The others are the defaults: all that the track keeps, in order.
	expect(await changed).toEqual({ priority: 3, ordered: true, maxLatencyMs: 5000 });
	const last = core.subscriptionChanged(track).result;
	core.free(handle);
	expect(await last).toBeNull();
});

test("what cannot be found fails without waiting", async () => {
	const source = core.consume(broadcast);
	expect(await kindOf(() => core.track(source, "unknown"))).toBe("not-found");
	expect(await kindOf(() => core.requestBroadcast(origin, "unknown").result)).toBe("not-found");
	expect(await kindOf(() => core.fetchGroup(core.track(source, "data"), 99, {}, new Collector()))).toBe("not-found");
	expect(core.getGroup(core.track(source, "data"), 99, new Collector())).toBeUndefined();
	expect(await kindOf(() => core.createTrack(broadcast, "data"))).toBe("duplicate");
});

test("a cached group is read without asking anybody", async () => {
	const sequence = core.writeTrackFrame(track, encoder.encode("kept"));
	const sink = new Collector();
	const reader = core.getGroup(core.consumeTrack(track), sequence, sink);
	core.grant(reader as number, 10, 100);
	await sink.until(() => sink.ended !== undefined);
	expect(sink.texts()).toEqual(["kept"]);
});

test("closing the core settles everything that waits", async () => {
	const waiting = core.waitForBroadcast(origin, "never").result;
	core.close();
	expect(await kindOf(() => waiting)).toBe("closed");
	expect(await kindOf(() => core.createOrigin())).toBe("closed");
});

test("control calls are answered while a backlog drains", async () => {
	const { sink, handle } = await read({ maxLatencyMs: 60_000 });
	const { handle: group } = core.createGroup(track);
	for (let frame = 0; frame < 8000; frame++) core.writeFrame(group, new Uint8Array(2000));
	core.grant(handle, 100_000, 100_000_000);
	await core.trackUsed(track).result;
	expect(sink.records.length).toBeLessThan(8000);
	await sink.until(() => sink.records.length > 8000);
});

test("memory for a stream of frames is taken in a few large steps", async () => {
	const first = core.stats().memoryBytes;
	expect(first).toBeGreaterThanOrEqual(16 << 20);
	const sizes = new Set<number>();
	for (let frame = 0; frame < 1500; frame++) {
		core.writeTrackFrame(track, new Uint8Array(20_000));
		if (frame % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
		sizes.add(core.stats().memoryBytes);
	}
	// 30 MB, less what the first step held: page by page it would be hundreds.
	expect(sizes.size).toBeGreaterThan(1);
	expect(sizes.size).toBeLessThanOrEqual(20);
});
