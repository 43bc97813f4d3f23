import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Core } from "../../../worker/core/core.ts";
import type { ErrorData } from "../../../worker/protocol/error.ts";
import type { CoreStats, Version } from "../../../worker/protocol/model.ts";
import { Announcements, Collector, kindOf, startCore } from "../../support/core.ts";
import { memoryPair } from "../../support/memory-transport.ts";

const encoder = new TextEncoder();
const VERSIONS: Version[] = ["moq-lite-03", "moq-lite-04", "moq-lite-05", "moq-lite-06"];

/** Two cores with a session between them: what the left one publishes, the right one reads. */
class Pair {
	readonly left: Core;
	readonly right: Core;
	readonly source: number;
	readonly target: number;
	sessions: { left: number; right: number } = { left: 0, right: 0 };
	lose: () => void = () => {};

	constructor(left: Core, right: Core) {
		this.left = left;
		this.right = right;
		this.source = left.createOrigin();
		this.target = right.createOrigin();
	}

	async connect(version: Version): Promise<void> {
		const network = memoryPair(version);
		this.lose = network.lose;
		// Both sides dial, so neither may name a role, which only a client does: each offers both halves.
		const back = [this.left.createOrigin(), this.right.createOrigin()] as const;
		const left = this.left.connect(network.left, { publish: this.source, consume: back[0], versions: [version] });
		const right = this.right.connect(network.right, { publish: back[1], consume: this.target, versions: [version] });
		const [a, b] = await Promise.all([left.result, right.result]);
		this.left.free(back[0]);
		this.right.free(back[1]);
		expect([a.version, b.version]).toEqual([version, version]);
		this.sessions = { left: a.session, right: b.session };
	}
}

/** Counts that must return to their start. Memory only grows; evictions only count. */
function live({ handles, model, operations, tasks, cachedBytes }: CoreStats) {
	return { handles, model, operations, tasks, cachedBytes };
}

let cores: Core[] = [];

beforeEach(async () => {
	cores = [await startCore(), await startCore()];
});

afterEach(() => {
	for (const core of cores) core.close();
});

function pair(): Pair {
	const [left, right] = cores;
	if (!left || !right) throw new Error("no cores");
	return new Pair(left, right);
}

describe.each(VERSIONS)("two cores over %s", (version) => {
	test("an announced track is read byte for byte", async () => {
		const two = pair();
		await two.connect(version);
		const broadcast = two.left.createBroadcast(two.source, "room/alice");
		const track = two.left.createTrack(broadcast, "chat");
		const found = await two.right.waitForBroadcast(two.target, "room/alice").result;
		const sink = new Collector();
		const subscription = two.right.subscribe(two.right.track(found, "chat"), {}, sink);
		two.right.grant(subscription.handle, 100, 4 << 20);
		await subscription.result;
		const { handle: group, sequence } = two.left.createGroup(track);
		expect(sequence).toBe(0);
		// Long enough to be read into a buffer of our own in the end, and to wait for windows on the way.
		const payload = Uint8Array.from({ length: 1_500_000 }, (_, index) => index % 251);
		two.left.writeFrame(group, encoder.encode("hello"));
		two.left.writeFrame(group, payload);
		two.left.writeFrame(group, new Uint8Array(0));
		two.left.finishGroup(group);
		two.left.finishTrack(track);
		await sink.until(() => sink.ended !== undefined);
		const frames = sink.records.flatMap((record) => (record.type === "frame" ? [record.data] : []));
		expect(frames.map((frame) => frame.byteLength)).toEqual([5, payload.byteLength, 0]);
		expect(Buffer.compare(frames[1] ?? new Uint8Array(), payload)).toBe(0);
		expect(sink.records.filter((record) => record.type === "group")).toMatchObject([{ sequence: 0, firstFrame: 0 }]);
		expect(sink.records.filter((record) => record.type === "groupEnd")).toMatchObject([{ frames: 3 }]);
		expect(sink.ended).toEqual({});
	});

	test("announcements come, go, and leave their broadcast with the reader", async () => {
		const two = pair();
		await two.connect(version);
		const announcements = new Announcements();
		two.right.announced(two.target, "room", announcements);
		const broadcast = two.left.createBroadcast(two.source, "room/bob");
		const active = await announcements.next();
		expect(active).toMatchObject({ path: "bob", event: "active" });
		expect(active.broadcast).toBeGreaterThan(0);
		two.left.free(broadcast);
		expect(await announcements.next()).toMatchObject({ path: "bob", event: "ended" });
		const closed = await two.right.broadcastClosed(active.broadcast as number).result;
		expect(closed.kind).toBe("dropped");
	});

	test("20 000 frames arrive complete and in order under credit", { timeout: 30_000 }, async () => {
		const two = pair();
		await two.connect(version);
		const broadcast = two.left.createBroadcast(two.source, "load");
		const track = two.left.createTrack(broadcast, "data");
		const found = await two.right.waitForBroadcast(two.target, "load").result;
		const sink = new Collector();
		const { handle, result } = two.right.subscribe(two.right.track(found, "data"), { maxLatencyMs: 5000 }, sink);
		sink.onBatch = (frames, bytes) => two.right.grant(handle, frames, bytes);
		two.right.grant(handle, 64, 4 << 20);
		await result;
		for (let group = 0; group < 20; group++) {
			const { handle: producer } = two.left.createGroup(track);
			for (let frame = 0; frame < 1000; frame++) two.left.writeFrame(producer, encoder.encode(`${group}/${frame}`));
			two.left.finishGroup(producer);
			await sink.until(() => sink.records.filter((record) => record.type === "groupEnd").length > group);
		}
		const expected = Array.from({ length: 20_000 }, (_, index) => `${Math.floor(index / 1000)}/${index % 1000}`);
		expect(sink.texts()).toEqual(expected);
		expect(sink.batches).toBeLessThan(10_000);
	});

	test("everything is released: counts return to their start", async () => {
		const two = pair();
		const before = [live(two.left.stats()), live(two.right.stats())];
		await two.connect(version);
		const broadcast = two.left.createBroadcast(two.source, "leak");
		const track = two.left.createTrack(broadcast, "data");
		const found = await two.right.waitForBroadcast(two.target, "leak").result;
		const reading = two.right.track(found, "data");
		for (let round = 0; round < 20; round++) {
			const sink = new Collector();
			const { handle, result } = two.right.subscribe(reading, {}, sink);
			two.right.grant(handle, 10, 1 << 20);
			await result;
			two.left.writeTrackFrame(track, encoder.encode(`round ${round}`));
			await sink.until(() => sink.texts().length > 0);
			two.right.free(handle);
		}
		const closing = two.left.sessionClosed(two.sessions.left).result;
		two.right.closeSession(two.sessions.right, 0, "done");
		expect(await closing).toMatchObject({ local: false });
		for (const handle of [broadcast, track, two.sessions.left]) two.left.free(handle);
		for (const handle of [reading, found, two.sessions.right]) two.right.free(handle);
		await expect.poll(() => [live(two.left.stats()), live(two.right.stats())]).toEqual(before);
	});
});

test("fetching asks for one group, whole or from a frame on", async () => {
	const two = pair();
	await two.connect("moq-lite-06");
	const broadcast = two.left.createBroadcast(two.source, "archive");
	const track = two.left.createTrack(broadcast, "data");
	const { handle: group, sequence } = two.left.createGroup(track);
	for (const text of ["a", "b", "c"]) two.left.writeFrame(group, encoder.encode(text));
	two.left.finishGroup(group);
	const found = await two.right.waitForBroadcast(two.target, "archive").result;
	const reading = two.right.track(found, "data");
	for (const [frameStart, expected] of [
		[0, ["a", "b", "c"]],
		[1, ["b", "c"]],
	] as const) {
		const sink = new Collector();
		const reader = await two.right.fetchGroup(reading, sequence, { frameStart }, sink).result;
		two.right.grant(reader, 10, 1000);
		await sink.until(() => sink.ended !== undefined);
		expect(sink.texts()).toEqual(expected);
		expect(sink.records[0]).toMatchObject({ type: "group", gid: 0, sequence, firstFrame: frameStart });
		two.right.free(reader);
	}
});

test("a lost connection fails what waits with one typed error", async () => {
	const two = pair();
	await two.connect("moq-lite-05");
	const broadcast = two.left.createBroadcast(two.source, "gone");
	two.left.createTrack(broadcast, "data");
	const found = await two.right.waitForBroadcast(two.target, "gone").result;
	const sink = new Collector();
	const { handle, result } = two.right.subscribe(two.right.track(found, "data"), {}, sink);
	two.right.grant(handle, 10, 1000);
	await result;
	const closed = two.right.sessionClosed(two.sessions.right).result;
	two.lose();
	expect(await kindOf(() => closed)).toBe("transport");
	await sink.until(() => sink.ended !== undefined);
	expect(sink.ended?.error?.kind).toMatch(/^(transport|dropped|cancelled)$/);
});

test("a close code travels with its reason", async () => {
	const two = pair();
	await two.connect("moq-lite-05");
	const closed = two.right.sessionClosed(two.sessions.right).result;
	two.left.closeSession(two.sessions.left, 64 + 7, "enough");
	const error = await closed.then(
		() => undefined,
		(error: unknown) => error,
	);
	expect(error).toMatchObject({ kind: "app", code: 71, scope: "session", reason: "enough" });
});

test("without a common version the connect fails and the transport is closed", async () => {
	const two = pair();
	const network = memoryPair("moq-lite-04");
	const connect = two.left.connect(network.left, { publish: two.source, versions: ["moq-lite-05"] });
	const error = await connect.result.then(
		() => undefined,
		(error: unknown) => error,
	);
	expect(error).toMatchObject({ kind: "version" });
	expect((error as ErrorData).message).toContain("offered moq-lite-05, the transport settled on moq-lite-04");
	await expect.poll(() => two.left.stats().model.transports).toBe(0);
});
