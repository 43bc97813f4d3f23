import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { ClosedError, DroppedError, MoqError, UsageError } from "../../../src/handle/error.ts";
import type { Gap } from "../../../src/index.ts";
import type { TrackConsumer } from "../../../src/model/track-consumer.ts";
import type { TrackSubscriber } from "../../../src/model/track-subscriber.ts";
import { READ_WINDOW, UNREAD_GROUPS } from "../../../worker/protocol/limits.ts";
import type { ReaderEvent, ReaderRequest } from "../../../worker/protocol/port.ts";
import { BatchWriter } from "../../support/batch-writer.ts";
import { Inbox, ScriptedPage, settled } from "../../support/scripted-control.ts";

interface SubscribeArgs {
	subscription: number;
	prefs: unknown;
	credit: { frames: number; bytes: number };
	port: MessagePort;
}

let page: ScriptedPage;
let track: TrackConsumer;

beforeEach(async () => {
	page = new ScriptedPage();
	const found = page.runtime.origin().waitForBroadcast("room/alice");
	(await page.next("waitForBroadcast")).resolve();
	track = (await found).track("chat");
});

afterEach(() => page.close());

/** A confirmed subscription, and the worker's end of its port. */
async function subscribed(): Promise<{ subscriber: TrackSubscriber; port: MessagePort; inbox: Inbox<ReaderRequest> }> {
	const pending = track.subscribe();
	const call = await page.next<SubscribeArgs>("subscribe");
	call.resolve({});
	const inbox = new Inbox<ReaderRequest>(call.args.port);
	return { subscriber: await pending, port: call.args.port, inbox };
}

/** The gaps it tells from here on. */
function gaps(subscriber: TrackSubscriber): Gap[] {
	const told: Gap[] = [];
	subscriber.addEventListener("gap", ({ detail }) => told.push(detail));
	return told;
}

const texts = async (group: AsyncIterable<{ text(): string }>) => {
	const lines: string[] = [];
	for await (const frame of group) lines.push(frame.text());
	return lines;
};

test("groups come in sequence order, frames in theirs, and a finished track ends the loop", async () => {
	const { subscriber, port } = await subscribed();
	new BatchWriter()
		.group(1, 5)
		.group(2, 4)
		.frame(2, "d")
		.frame(1, "e")
		.frame(2, "dd")
		.groupEnd(2, 2)
		.groupEnd(1, 1)
		.send(port);
	new BatchWriter().trackEnd(6).send(port);
	port.postMessage({ type: "end" } satisfies ReaderEvent);
	await settled();
	const seen: [number, string[]][] = [];
	for await (const group of subscriber) seen.push([group.sequence, await texts(group)]);
	expect(seen).toEqual([
		[4, ["d", "dd"]],
		[5, ["e"]],
	]);
	expect(await subscriber.finished).toBe(6);
	await subscriber.closed;
	expect(subscriber.latest).toBe(5);
});

test("a group that comes after a later one was taken is skipped, and its credit given back", async () => {
	const { subscriber, port, inbox } = await subscribed();
	new BatchWriter().group(1, 8).frame(1, "new").groupEnd(1, 1).send(port);
	const group = await subscriber.nextGroup();
	expect(group?.sequence).toBe(8);
	new BatchWriter().group(2, 7).frame(2, "late").send(port);
	new BatchWriter().group(3, 9).frame(3, "newer").groupEnd(3, 1).send(port);
	expect((await subscriber.nextGroup())?.sequence).toBe(9);
	await inbox.find((request) => request.type === "skip" && request.gid === 2);
});

test("recvGroup gives groups as they arrive", async () => {
	const { subscriber, port } = await subscribed();
	new BatchWriter().group(1, 8).groupEnd(1, 0).group(2, 3).groupEnd(2, 0).send(port);
	expect((await subscriber.recvGroup())?.sequence).toBe(8);
	expect((await subscriber.recvGroup())?.sequence).toBe(3);
});

test("getGroup waits for its group and leaves the others to the rest", async () => {
	const { subscriber, port } = await subscribed();
	const third = subscriber.getGroup(3);
	new BatchWriter().group(1, 2).groupEnd(1, 0).group(2, 3).frame(2, "three").groupEnd(2, 1).send(port);
	const group = await third;
	expect(group?.sequence).toBe(3);
	expect((await group?.readFrame())?.text()).toBe("three");
	expect(subscriber.getGroup(-1).status).toBe("rejected");
});

test("waiting for a group that is missing, or was given out, has an end", async () => {
	const { subscriber, port } = await subscribed();
	const missing = subscriber.getGroup(1);
	new BatchWriter().group(1, 0).groupEnd(1, 0).gap(1, 2, "late").group(2, 3).groupEnd(2, 0).send(port);
	await expect(missing).rejects.toMatchObject({ kind: "old" });
	await subscriber.nextGroup();
	await expect(subscriber.getGroup(0)).rejects.toThrow(/group 0 is missing, or was given out/);
	expect((await subscriber.getGroup(3))?.sequence).toBe(3);
});

test("frames carry timestamp, index and payload, and outlive the batch's other frames", async () => {
	const { subscriber, port } = await subscribed();
	new BatchWriter().group(1, 0, 1_000_000, 3).frame(1, '{"a":1}', 40).frame(1, "x", 80).groupEnd(1, 5).send(port);
	const group = await subscriber.nextGroup();
	const frame = await group?.readFrame();
	expect(group?.timescale).toBe(1_000_000);
	expect(frame).toMatchObject({ timestamp: 40, index: 3, size: 7 });
	expect(frame?.json()).toEqual({ a: 1 });
	expect(frame?.bytes().buffer.byteLength).toBe(7);
	expect(await group?.finished).toBe(5);
	expect((await group?.readFrame())?.index).toBe(4);
	expect(await group?.readFrame()).toBeUndefined();
});

test("credit is given back half a window at a time, for what was read only", async () => {
	const { subscriber, port, inbox } = await subscribed();
	const half = READ_WINDOW.frames / 2;
	const batch = new BatchWriter().group(1, 0);
	for (let index = 0; index < READ_WINDOW.frames - 1; index++) batch.frame(1, "ten bytes.");
	batch.send(port);
	const group = await subscriber.nextGroup();
	for (let index = 0; index < half - 2; index++) await group?.readFrame();
	await settled();
	expect(inbox.messages).toEqual([]);
	await group?.readFrame();
	const grant = await inbox.find((request) => request.type === "grant");
	expect(grant).toEqual({ type: "grant", frames: half, bytes: (half - 1) * 10 });
});

test("credit that is due is given back at once to a reader that ran dry", async () => {
	const { subscriber, port, inbox } = await subscribed();
	const batch = new BatchWriter().group(1, 0);
	for (let index = 0; index < READ_WINDOW.frames - 1; index++) batch.frame(1, "x");
	batch.send(port);
	const group = await subscriber.nextGroup();
	for (let index = 0; index < READ_WINDOW.frames - 1; index++) await group?.readFrame();
	const more = group?.readFrame();
	await settled();
	const granted = inbox.messages.reduce((sum, request) => sum + (request.type === "grant" ? request.frames : 0), 0);
	expect(granted).toBe(READ_WINDOW.frames);
	new BatchWriter().frame(1, "more").send(port);
	expect((await more)?.text()).toBe("more");
});

test("groups that are taken and not read keep their frames while later ones are taken", async () => {
	const { subscriber, port, inbox } = await subscribed();
	const batch = new BatchWriter().group(1, 0);
	for (let index = 0; index < READ_WINDOW.frames - 1; index++) batch.frame(1, `${index}`);
	batch.groupEnd(1, READ_WINDOW.frames - 1).send(port);
	const kept = await subscriber.nextGroup();
	const next = subscriber.nextGroup();
	// What the taken group itself cost comes back first; one more frame fills the window again.
	await inbox.find((request) => request.type === "grant" && request.frames === 1);
	new BatchWriter().group(2, 1).send(port);
	await next;
	const third = subscriber.nextGroup();
	await inbox.find((request) => request.type === "grant" && request.frames === 1);
	new BatchWriter().frame(2, "x").send(port);
	await inbox.find((request) => request.type === "want" && request.gid === 0);
	new BatchWriter().group(3, 2).send(port);
	expect((await third)?.sequence).toBe(2);
	expect(inbox.messages.some((request) => request.type === "skip")).toBe(false);
	expect(kept && (await texts(kept))).toHaveLength(READ_WINDOW.frames - 1);
});

test("of very many groups that are taken and not read the oldest gives way, and says which limit that was", async () => {
	const { subscriber, port, inbox } = await subscribed();
	const batch = new BatchWriter().group(1, 0);
	for (let index = 0; index < READ_WINDOW.frames * 2; index++) batch.frame(1, "x");
	batch.send(port);
	const stuck = await subscriber.nextGroup();
	for (let gid = 2; gid <= UNREAD_GROUPS; gid++) {
		const next = subscriber.nextGroup();
		new BatchWriter().group(gid, gid - 1).send(port);
		await next;
	}
	expect(inbox.messages.some((request) => request.type === "skip")).toBe(false);
	const last = subscriber.nextGroup();
	await inbox.find((request) => request.type === "skip" && request.gid === 1);
	new BatchWriter().group(UNREAD_GROUPS + 1, UNREAD_GROUPS).send(port);
	expect((await last)?.sequence).toBe(UNREAD_GROUPS);
	const error = await stuck?.readFrame().catch((reason: unknown) => reason);
	expect(error).toBeInstanceOf(MoqError);
	expect(error).toMatchObject({ kind: "lagged" });
	expect(String(error)).toMatch(/group 0 .* 1024 later groups .* this page .* read or close/);
});

test("a group that is being read does not give way: the next one is asked for past the credit", async () => {
	const { subscriber, port, inbox } = await subscribed();
	const batch = new BatchWriter().group(1, 0);
	for (let index = 0; index < READ_WINDOW.frames - 1; index++) batch.frame(1, `${index}`);
	batch.send(port);
	const reading = await subscriber.nextGroup();
	expect((await reading?.readFrame())?.text()).toBe("0");
	const next = subscriber.nextGroup();
	// What was read comes back first; two more frames fill the window again.
	await inbox.find((request) => request.type === "grant" && request.frames === 2);
	new BatchWriter().frame(1, "x").frame(1, "x").send(port);
	await inbox.find((request) => request.type === "want" && request.gid === 0);
	new BatchWriter().group(2, 1).send(port);
	expect((await next)?.sequence).toBe(1);
	expect((await reading?.readFrame())?.text()).toBe("1");
	expect(inbox.messages.some((request) => request.type === "skip")).toBe(false);
});

test("whoever reads a group while its siblings hold the window asks for one record past the credit", async () => {
	const { subscriber, port, inbox } = await subscribed();
	const batch = new BatchWriter().group(1, 0).group(2, 1);
	for (let index = 0; index < READ_WINDOW.frames - 2; index++) batch.frame(2, "x");
	batch.send(port);
	const group = await subscriber.nextGroup();
	const frame = group?.readFrame();
	// First what is due: the group itself. One record comes of it, and then nothing more.
	await inbox.find((request) => request.type === "grant");
	new BatchWriter().frame(2, "x").send(port);
	await inbox.find((request) => request.type === "want" && request.gid === 1);
	new BatchWriter().frame(1, "wanted").send(port);
	expect((await frame)?.text()).toBe("wanted");
});

test("breaking out of the groups unsubscribes", async () => {
	const { subscriber, port } = await subscribed();
	new BatchWriter().group(1, 0).groupEnd(1, 0).send(port);
	for await (const _group of subscriber) break;
	const { args } = await page.next<{ id: number }>("free");
	expect(page.calls.find(({ name }) => name === "subscribe")?.args).toMatchObject({ subscription: args.id });
	await subscriber.closed;
	await expect(subscriber.nextGroup()).rejects.toBeInstanceOf(ClosedError);
});

test("breaking out of a group's frames drops the rest of it and tells the worker", async () => {
	const { subscriber, port, inbox } = await subscribed();
	new BatchWriter().group(1, 0).frame(1, "a").frame(1, "b").send(port);
	const group = await subscriber.nextGroup();
	if (!group) throw new Error("no group");
	for await (const frame of group) {
		expect(frame.text()).toBe("a");
		break;
	}
	await inbox.find((request) => request.type === "skip" && request.gid === 1);
	await expect(group.readFrame()).rejects.toBeInstanceOf(ClosedError);
});

test("a group that is cut short throws what ended it, after the frames that arrived", async () => {
	const { subscriber, port } = await subscribed();
	new BatchWriter().group(1, 0).frame(1, "a").groupError(1, { kind: "dropped", message: "gone" }).send(port);
	const group = await subscriber.nextGroup();
	expect((await group?.readFrame())?.text()).toBe("a");
	await expect(group?.readFrame()).rejects.toBeInstanceOf(DroppedError);
	await expect(group?.finished).rejects.toBeInstanceOf(DroppedError);
});

test("several reads of one group are served in turn, and one that is cancelled leaves the line", async () => {
	const { subscriber, port } = await subscribed();
	new BatchWriter().group(1, 0).send(port);
	const group = await subscriber.nextGroup();
	const [first, second, third] = [group?.readFrame(), group?.readFrame(), group?.readFrame()];
	second?.cancel();
	new BatchWriter().frame(1, "one").frame(1, "two").send(port);
	expect((await first)?.text()).toBe("one");
	expect((await third)?.text()).toBe("two");
	expect(second?.status).toBe("rejected");
});

test("readFrame takes the first frame of each group in sequence, and drops the rest of it", async () => {
	const { subscriber, port, inbox } = await subscribed();
	const told = gaps(subscriber);
	const first = subscriber.readFrame();
	new BatchWriter().group(1, 0).group(2, 1).frame(2, "second").frame(2, "more").send(port);
	await settled();
	expect(first.status).toBe("pending");
	new BatchWriter().frame(1, "first").groupEnd(1, 1).send(port);
	expect((await first)?.text()).toBe("first");
	expect((await subscriber.readFrame())?.text()).toBe("second");
	await inbox.find((request) => request.type === "skip" && request.gid === 2);
	const third = subscriber.readFrame();
	// One without a frame has nothing to miss; one that failed does.
	new BatchWriter().group(3, 2).groupEnd(3, 0).group(4, 3).group(5, 4).frame(5, "fifth").send(port);
	await settled();
	expect(third.status).toBe("pending");
	new BatchWriter().groupError(4, { kind: "dropped", message: "gone" }).send(port);
	expect((await third)?.text()).toBe("fifth");
	expect(told).toEqual([{ from: 3, to: 3, reason: "reset" }]);
});

test("readFrame asks past the credit for the group whose turn it is", async () => {
	const { subscriber, port, inbox } = await subscribed();
	const frame = subscriber.readFrame();
	const batch = new BatchWriter().group(1, 0).group(2, 1);
	for (let index = 0; index < READ_WINDOW.frames - 2; index++) batch.frame(2, "x");
	batch.send(port);
	await inbox.find((request) => request.type === "want" && request.gid === 1);
	new BatchWriter().frame(1, "wanted").send(port);
	expect((await frame)?.text()).toBe("wanted");
});

test("a gap is told in its place, counted, and its credit given back", async () => {
	const { subscriber, port, inbox } = await subscribed();
	const order: unknown[] = [];
	subscriber.addEventListener("gap", ({ detail }) => order.push(detail));
	new BatchWriter()
		.group(1, 4)
		.groupEnd(1, 0)
		.gap(5, 7, "late")
		.gap(8, 8, "declared")
		.group(2, 9)
		.groupEnd(2, 0)
		.send(port);
	await settled();
	order.push((await subscriber.nextGroup())?.sequence);
	await settled();
	expect(order).toEqual([4]);
	order.push((await subscriber.nextGroup())?.sequence);
	expect(order).toEqual([4, { from: 5, to: 7, reason: "late" }, { from: 8, to: 8, reason: "declared" }, 9]);
	expect(subscriber.stats()).toEqual({ groups: 2, gaps: 2, missing: 4 });
	const half = READ_WINDOW.frames / 2;
	const batch = new BatchWriter();
	for (let sequence = 10; sequence < 10 + half - 4; sequence++) batch.gap(sequence, sequence, "late");
	batch.group(3, 100).groupEnd(3, 0).send(port);
	await subscriber.nextGroup();
	expect(await inbox.find((request) => request.type === "grant")).toMatchObject({ frames: half });
});

test("a gap at the end of a track is told before the end, and to a reader that waits at once", async () => {
	const { subscriber, port } = await subscribed();
	const told = gaps(subscriber);
	const next = subscriber.nextGroup();
	new BatchWriter().gap(0, 2, "expired").send(port);
	await settled();
	expect(told).toEqual([{ from: 0, to: 2, reason: "expired" }]);
	expect(next.status).toBe("pending");
	new BatchWriter().gap(3, 3, "jump").trackEnd(4).send(port);
	expect(await next).toBeUndefined();
	expect(told).toHaveLength(2);
	expect(subscriber.stats()).toEqual({ groups: 0, gaps: 2, missing: 4 });
});

test("a listener for gaps may close the subscription", async () => {
	const { subscriber, port } = await subscribed();
	subscriber.addEventListener("gap", () => subscriber.close());
	const next = subscriber.nextGroup();
	new BatchWriter().gap(0, 2, "late").group(1, 3).groupEnd(1, 0).send(port);
	await expect(next).rejects.toBeInstanceOf(ClosedError);
});

test("waiting for one group passes none by that is read in order", async () => {
	const { subscriber, port, inbox } = await subscribed();
	new BatchWriter().group(1, 0).groupEnd(1, 0).send(port);
	await subscriber.nextGroup();
	const far = subscriber.getGroup(90);
	const batch = new BatchWriter();
	for (let gid = 2; gid < READ_WINDOW.frames + 3; gid++) batch.group(gid, gid - 1).groupEnd(gid, 0);
	batch.send(port);
	await inbox.find((request) => request.type === "want" && request.gid === 0);
	new BatchWriter().group(99, 90).groupEnd(99, 0).send(port);
	expect((await far)?.sequence).toBe(90);
	for (let sequence = 1; sequence < 60; sequence++) expect((await subscriber.nextGroup())?.sequence).toBe(sequence);
	expect(subscriber.stats()).toMatchObject({ gaps: 0 });
});

test("the stream of frames passes over groups that were given up on, and tells", async () => {
	const { subscriber, port } = await subscribed();
	const told = gaps(subscriber);
	new BatchWriter()
		.group(1, 0)
		.frame(1, "a")
		.groupError(1, { kind: "old", message: "too late" })
		.group(2, 1)
		.frame(2, "b")
		.groupEnd(2, 1)
		.trackEnd(2)
		.send(port);
	port.postMessage({ type: "end" } satisfies ReaderEvent);
	const lines: string[] = [];
	const reader = subscriber.frames().getReader();
	for (let step = await reader.read(); !step.done; step = await reader.read()) lines.push(step.value.text());
	expect(lines).toEqual(["a", "b"]);
	expect(told).toEqual([{ from: 0, to: 0, reason: "late" }]);
});

test("the stream of frames is iterated where the engine's streams are not", async () => {
	const { prototype } = ReadableStream;
	const native = Object.getOwnPropertyDescriptor(prototype, Symbol.asyncIterator);
	Reflect.deleteProperty(prototype, Symbol.asyncIterator);
	onTestFinished(() => {
		if (native) Object.defineProperty(prototype, Symbol.asyncIterator, native);
	});
	const { subscriber, port } = await subscribed();
	new BatchWriter().group(1, 0).frame(1, "a").frame(1, "b").frame(1, "c").groupEnd(1, 3).send(port);
	const lines: string[] = [];
	for await (const frame of subscriber.frames()) {
		lines.push(frame.text());
		if (lines.length === 2) break;
	}
	expect(lines).toEqual(["a", "b"]);
	await subscriber.closed;
});

test("a track that fails ends every wait with its error", async () => {
	const { subscriber, port } = await subscribed();
	const waits = [subscriber.nextGroup(), subscriber.recvGroup(), subscriber.readFrame(), subscriber.getGroup(4)];
	new BatchWriter().trackEnd(Number.NaN, { kind: "dropped", message: "the publisher left" }).send(port);
	for (const wait of waits) await expect(wait).rejects.toBeInstanceOf(DroppedError);
	await expect(subscriber.closed).rejects.toBeInstanceOf(DroppedError);
	await expect(subscriber.finished).rejects.toBeInstanceOf(DroppedError);
});

test("preferences are set at call time, changed while pending, and checked by name", async () => {
	const pending = track.subscribe({ priority: 3, maxLatencyMs: 500 });
	pending.update({ priority: 9 });
	const call = await page.next<SubscribeArgs>("subscribe");
	expect(call.args).toMatchObject({ prefs: { priority: 3, maxLatencyMs: 500 }, credit: READ_WINDOW });
	const inbox = new Inbox<ReaderRequest>(call.args.port);
	await inbox.find((request) => request.type === "update" && request.prefs.priority === 9);
	call.resolve({ timescale: 1000 });
	const subscriber = await pending;
	expect(subscriber.subscription).toEqual({ priority: 9 });
	expect(subscriber.info).toEqual({ timescale: 1000 });
	expect(() => subscriber.update({ priority: 256 })).toThrow(UsageError);
	expect(() => subscriber.update({ priority: 256 })).toThrow(/priority .* 255/);

	const refused = track.subscribe({ groupStart: 5, groupEnd: 4 });
	expect(refused.status).toBe("rejected");
	await expect(refused).rejects.toThrow(/groupEnd 4 is before groupStart 5/);
});

test("cancelling a subscription that waits frees it in the worker", async () => {
	const pending = track.subscribe();
	const { args } = await page.next<SubscribeArgs>("subscribe");
	pending.cancel();
	expect(pending.status).toBe("rejected");
	expect((await page.next<{ id: number }>("free")).args).toEqual({ id: args.subscription });
});

test("a subscription that ends before its confirmation is answered still resolves", async () => {
	const pending = track.subscribe();
	const call = await page.next<SubscribeArgs>("subscribe");
	new BatchWriter().group(1, 0).frame(1, "only").groupEnd(1, 1).trackEnd(1).send(call.args.port);
	call.args.port.postMessage({ type: "end" } satisfies ReaderEvent);
	await settled();
	call.resolve({});
	const groups: string[][] = [];
	for await (const group of await pending) groups.push(await texts(group));
	expect(groups).toEqual([["only"]]);
});
