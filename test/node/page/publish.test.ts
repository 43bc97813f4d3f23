import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ClosedError, type MoqError, UsageError } from "../../../src/handle/error.ts";
import type { BroadcastProducer } from "../../../src/model/broadcast-producer.ts";
import type { TrackProducer } from "../../../src/model/track-producer.ts";
import { WRITE_BACKLOG, WRITE_WINDOW } from "../../../worker/protocol/limits.ts";
import type { TrackInfoData } from "../../../worker/protocol/model.ts";
import type { WriterEvent, WriterRequest, WriteStep } from "../../../worker/protocol/port.ts";
import { Inbox, ScriptedPage, settled } from "../../support/scripted-control.ts";

let page: ScriptedPage;
let broadcast: BroadcastProducer;

beforeEach(() => {
	page = new ScriptedPage();
	page.automatic.add("createTrack");
	broadcast = page.runtime.origin().createBroadcast("room/bob");
});

afterEach(() => page.close());

/** A track, and the worker's end of its port. */
async function created(info?: TrackInfoData) {
	const track = broadcast.createTrack("chat", info);
	await settled();
	const call = page.calls.findLast(({ name }) => name === "createTrack");
	const port = call?.args.port as MessagePort;
	const inbox = new Inbox<WriterRequest>(port);
	const post = (event: WriterEvent) => port.postMessage(event);
	const steps = async (): Promise<WriteStep[]> => {
		await settled();
		return inbox.messages.flatMap(({ steps }) => steps);
	};
	return { track, port, inbox, post, steps };
}

const shape = (steps: WriteStep[]) => steps.map((step) => step.type);

test("all that is written in one turn leaves in one message, in order", async () => {
	const { track, inbox, steps } = await created();
	expect(track.writeFrame("hello")).toBe(0);
	const group = track.appendGroup();
	group.writeFrame(new Uint8Array([1, 2]));
	group.finish();
	track.finish();
	expect(track.latest).toBe(1);
	expect(await steps()).toEqual([
		{ type: "group", group: 1, sequence: 0 },
		{ type: "frame", group: 1, data: new TextEncoder().encode("hello") },
		{ type: "groupEnd", group: 1 },
		{ type: "group", group: 2, sequence: 1 },
		{ type: "frame", group: 2, data: new Uint8Array([1, 2]) },
		{ type: "groupEnd", group: 2 },
		{ type: "finish" },
	]);
	expect(inbox.messages).toHaveLength(1);
});

test("what a page makes and writes in one turn is one message, and what it writes later is not in it", async () => {
	page.automatic.add("announceBroadcast");
	await settled();
	const before = page.batches;
	const made = page.runtime.origin().createBroadcast("room/eve", { announce: false });
	const tracks = Array.from({ length: 200 }, (_, index) => made.createTrack(`track/${index}`));
	for (const track of tracks) track.writeFrame("now");
	made.announce();
	await settled();
	expect(page.batches - before).toBe(1);
	const names = page.calls.slice(-203).map(({ name }) => name);
	expect(names).toEqual(["createOrigin", "createBroadcast", ...tracks.map(() => "createTrack"), "announceBroadcast"]);
	const last = page.calls.findLast(({ name }) => name === "createTrack");
	const { steps, port } = last?.args ?? {};
	expect(shape(steps as WriteStep[])).toEqual(["group", "frame", "groupEnd"]);
	const inbox = new Inbox<WriterRequest>(port as MessagePort);
	tracks.at(-1)?.writeFrame("later");
	await settled();
	expect(inbox.messages.map(({ steps }) => shape(steps))).toEqual([["group", "frame", "groupEnd"]]);
});

test("a call that is no command comes after those before it, and a refusal reaches its own handle", async () => {
	await settled();
	const origin = page.runtime.origin();
	page.automatic.delete("createTrack");
	const taken = broadcast.createTrack("taken");
	const waiting = origin.waitForBroadcast("a");
	const free = broadcast.createTrack("free");
	(await page.next("createTrack")).reject({ kind: "duplicate", message: "track taken exists" });
	(await page.next("createTrack")).resolve();
	await page.next("waitForBroadcast");
	expect(page.calls.slice(-4).map(({ name }) => name)).toEqual([
		"createOrigin",
		"createTrack",
		"waitForBroadcast",
		"createTrack",
	]);
	await expect(taken.closed).rejects.toMatchObject({ kind: "duplicate" });
	expect(free.writeFrame("x")).toBe(0);
	waiting.cancel();
});

test("bytes are copied, unless they are handed over", async () => {
	const { track, steps } = await created();
	const kept = new Uint8Array([1, 2, 3, 4]);
	track.writeFrame(kept.subarray(1, 3));
	kept.fill(9);
	const given = new Uint8Array([5, 6, 7, 8]);
	track.writeFrame(given.subarray(1, 3), undefined, { transfer: true });
	const frames = (await steps()).flatMap((step) => (step.type === "frame" ? [[...step.data]] : []));
	expect(frames).toEqual([
		[2, 3],
		[6, 7],
	]);
	expect(kept.byteLength).toBe(4);
	expect(given.byteLength).toBe(0);
});

test("ready waits for credit, and what is written meanwhile leaves when it comes", async () => {
	const { track, post, steps } = await created();
	for (let index = 0; index < WRITE_WINDOW.frames; index++) track.writeFrame("x");
	let isReady = false;
	await settled();
	const ready = track.ready.then(() => {
		isReady = true;
	});
	track.writeFrame("held back");
	expect(shape(await steps()).filter((type) => type === "frame")).toHaveLength(WRITE_WINDOW.frames);
	expect(isReady).toBe(false);
	post({ type: "grant", frames: 32, bytes: 32 });
	await ready;
	expect(shape(await steps()).filter((type) => type === "frame")).toHaveLength(WRITE_WINDOW.frames + 1);
});

test.each([
	["frames", 8192, 1, "group_frames (8192)"],
	["bytes", 32, 1 << 20, "group_bytes (33554432)"],
] as const)("a writer is warned once when a group has more %s than are kept", async (_, count, size, limit) => {
	const { track, port } = await created();
	port.onmessage = ({ data }: MessageEvent<WriterRequest>) => {
		const frames = data.steps.filter((step) => step.type === "frame").length;
		if (frames > 0) port.postMessage({ type: "grant", frames, bytes: frames * size });
	};
	const warnings: MoqError[] = [];
	track.addEventListener("warning", ({ detail }) => warnings.push(detail));
	const data = new Uint8Array(size);
	for (const group of [track.appendGroup(), track.appendGroup()]) {
		for (let at = 0; at < count; at++) {
			group.writeFrame(data);
			await group.ready;
		}
		expect(warnings).toHaveLength(group.sequence);
		for (let more = 0; more < 3; more++) group.writeFrame(data);
		group.finish();
		expect(warnings).toHaveLength(group.sequence + 1);
		expect(warnings[group.sequence]).toMatchObject({ kind: "too-large" });
		expect(warnings[group.sequence]?.message).toContain(`group ${group.sequence} is above the limit ${limit}`);
		expect(warnings[group.sequence]?.message).toContain("start a new group");
	}
});

test("whoever ignores ready is stopped before memory grows for ever, and no half group is left", async () => {
	const { track, steps } = await created();
	const all = WRITE_WINDOW.frames + WRITE_BACKLOG.frames;
	let written = 0;
	const error = (() => {
		try {
			for (; written < all + 1; written++) track.writeFrame("x");
			return undefined;
		} catch (thrown) {
			return thrown;
		}
	})();
	expect(error).toMatchObject({ kind: "too-many-pending" });
	expect(String(error)).toContain("await ready first");
	expect(written).toBe(all);
	const types = shape(await steps());
	expect(types.filter((type) => type === "frame")).toHaveLength(WRITE_WINDOW.frames);
	expect(types.filter((type) => type === "groupEnd")).toHaveLength(WRITE_WINDOW.frames);
});

test("a refused group rejects its own closed and leaves the track alone", async () => {
	const { track, post, steps } = await created();
	const group = track.createGroup(4);
	await steps();
	post({ type: "groupError", group: 1, error: { kind: "duplicate", message: "group 4 exists" } });
	await expect(group.closed).rejects.toBeInstanceOf(UsageError);
	expect(() => group.writeFrame("x")).toThrow("group 4 exists");
	track.writeFrame("still fine");
	expect(track.latest).toBe(5);
});

test("a buffer of another realm is a buffer", async () => {
	const { track, steps } = await created();
	track.writeFrame(runInNewContext("new Uint8Array([1, 2, 3]).buffer"));
	track.writeFrame(runInNewContext("new Uint8Array([4, 5]).buffer"), undefined, { transfer: true });
	const written = (await steps()).flatMap((step) => (step.type === "frame" ? [[...step.data]] : []));
	expect(written).toEqual([
		[1, 2, 3],
		[4, 5],
	]);
});

test("a refusal of what has no handle any more is a warning of the track", async () => {
	const { track, post, steps } = await created();
	const warnings: MoqError[] = [];
	track.addEventListener("warning", ({ detail }) => warnings.push(detail));
	track.writeDatagram("x");
	track.appendGroup().finish();
	await steps();
	post({ type: "groupError", group: 0, error: { kind: "duplicate", message: "datagram 0: duplicate" } });
	post({ type: "groupError", group: 1, error: { kind: "duplicate", message: "group 1: duplicate" } });
	await settled();
	expect(warnings.map(({ message }) => message)).toEqual(["datagram 0: duplicate", "group 1: duplicate"]);
	track.writeFrame("still fine");
});

test("timestamps belong to timed tracks, and only there", async () => {
	const { track } = await created();
	expect(() => track.writeFrame("x", 5)).toThrow(/timestamp given, but the track has no timescale/);
	const timed = (await created({ timescale: 1000 })).track;
	expect(() => timed.writeFrame("x")).toThrow(/timestamp is missing/);
	expect(() => timed.writeFrame("x", 1.5)).toThrow(/timestamp must be a whole number/);
	expect(() => broadcast.createTrack("t", { timescale: 0 })).toThrow(/timescale must be at least 1/);
	expect(() => broadcast.createTrack("t", { priority: 300 })).toThrow(/priority .* 255/);
});

test("a finished track takes no more, resolves closed when the end arrived, and is freed by close only then", async () => {
	const { track, post, steps } = await created();
	const group = track.appendGroup();
	track.finish();
	expect(() => track.writeFrame("x")).toThrow(ClosedError);
	// A group that was open may still be written.
	group.writeFrame("tail");
	group.finish();
	track.close();
	expect(shape(await steps())).toEqual(["group", "finish", "frame", "groupEnd"]);
	expect(page.count("free")).toBe(0);
	post({ type: "end" });
	await track.closed;
	await settled();
	expect(page.count("free")).toBe(1);
});

test("closing an unfinished track frees it at once and fails its groups", async () => {
	const { track, steps } = await created();
	const group = track.appendGroup();
	await steps();
	track.close();
	await expect(group.closed).rejects.toBeInstanceOf(ClosedError);
	await track.closed;
	await settled();
	expect(page.count("free")).toBe(1);
	expect(() => track.appendGroup()).toThrow(ClosedError);
});

test("a refused track rejects closed, its groups, and what waits on it", async () => {
	page.automatic.delete("createTrack");
	const track = broadcast.createTrack("taken");
	const group = track.appendGroup();
	const used = track.used();
	(await page.next("createTrack")).reject({ kind: "duplicate", message: "track taken exists" });
	await expect(track.closed).rejects.toThrow("track taken exists");
	await expect(group.closed).rejects.toThrow("track taken exists");
	await expect(used).rejects.toThrow("track taken exists");
	await expect(track.subscriptionChanged()).rejects.toThrow("track taken exists");
	expect(() => track.writeFrame("x")).toThrow("track taken exists");
});

test("used, unused and the subscription follow what the worker reports", async () => {
	const { track, post } = await created();
	await track.unused();
	const used = track.used();
	post({ type: "used", used: true });
	await used;
	const changed = track.subscriptionChanged();
	post({ type: "subscription", subscription: { priority: 7 } });
	expect(await changed).toEqual({ priority: 7 });
	expect(track.subscription).toEqual({ priority: 7 });
	post({ type: "subscription", subscription: null });
	expect(await track.subscriptionChanged()).toBeNull();
	expect(track.subscription).toBeUndefined();
});

test("a writable stream makes groups of its frames, waits for credit, and finishes the track", async () => {
	const { track, post, steps } = await created();
	const writer = track.writable().getWriter();
	await writer.write({ data: "a" });
	await writer.write({ data: "b", newGroup: false });
	await writer.write({ data: "c" });
	void writer.close().then(() => undefined);
	const types = shape(await steps());
	expect(types).toEqual(["group", "frame", "frame", "groupEnd", "group", "frame", "groupEnd", "finish"]);
	post({ type: "end" });
	await track.closed;
});

test("closing the broadcast closes its tracks and frees it", async () => {
	const tracks: TrackProducer[] = [(await created()).track, broadcast.createTrack("other")];
	broadcast.close();
	for (const track of tracks) await track.closed;
	await broadcast.closed;
	await settled();
	expect(page.count("free")).toBe(3);
	expect(() => broadcast.createTrack("more")).toThrow(ClosedError);
});
