import { afterEach, expect, test } from "vitest";
import { UsageError } from "../../../src/index.ts";
import type { Version } from "../../../worker/protocol/model.ts";
import { CorePage, joined } from "../../support/core-page.ts";

const open: CorePage[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((page) => page.close()));
});

async function broadcast() {
	const page = await CorePage.start();
	open.push(page);
	return page.runtime.origin().createBroadcast("mine");
}

async function pair(version: Version = "moq-lite-05") {
	const two = await joined(version);
	open.push(two.left, two.right);
	return two;
}

test("a frame written in pieces arrives whole", async () => {
	const { near, far } = await pair();
	const data = near.createBroadcast("room/bob").createTrack("data", { timescale: 1000 });
	const track = (await far.waitForBroadcast("room/bob")).track("data");
	const subscriber = await track.subscribe({ maxLatencyMs: 5000 });
	const group = data.appendGroup();
	const frame = group.createFrame(6, 42);
	frame.write("abc");
	expect(frame.remaining).toBe(3);
	frame.write(new Uint8Array([100, 101, 102]));
	expect(frame).toMatchObject({ size: 6, remaining: 0 });
	group.createFrame(0, 43);
	group.writeFrame("after", 44);
	group.finish();
	const seen: [number | undefined, string][] = [];
	const reading = await subscriber.nextGroup();
	if (reading) for await (const frame of reading) seen.push([frame.timestamp, frame.text()]);
	expect(seen).toEqual([
		[42, "abcdef"],
		[43, ""],
		[44, "after"],
	]);
});

test("a frame in pieces takes no more than was declared, and its group waits for it", async () => {
	const group = (await broadcast()).createTrack("data").appendGroup();
	const frame = group.createFrame(4);
	frame.write("ab");
	expect(() => frame.write("cde")).toThrow(UsageError);
	expect(() => group.finish()).toThrow(UsageError);
	frame.write("cd");
	group.finish();
	expect(() => frame.write("x")).toThrow();
	expect(() => group.createFrame(1)).toThrow();
});

test("a frame that is given up fails its group for the reader", async () => {
	const track = (await broadcast()).createTrack("data");
	const subscriber = await track.subscribe({ maxLatencyMs: 5000 });
	const group = track.appendGroup();
	const frame = group.createFrame(4);
	frame.write("ab");
	frame.abort();
	const reading = await subscriber.nextGroup();
	await expect(reading?.readFrame()).rejects.toMatchObject({ kind: "dropped" });
	expect(() => frame.write("cd")).toThrow();
});

test("a producer reads its own track", async () => {
	const track = (await broadcast()).createTrack("data");
	const subscriber = await track.subscribe({ maxLatencyMs: 5000 });
	track.writeFrame("hello");
	expect((await subscriber.readFrame())?.text()).toBe("hello");
});

test("one frame can be looked at out of turn, and reading goes on where it was", async () => {
	const track = (await broadcast()).createTrack("data");
	const subscriber = await track.subscribe({ maxLatencyMs: 5000 });
	const group = track.appendGroup();
	group.writeFrame("zero");
	group.writeFrame("one");
	const reading = await subscriber.nextGroup();
	const later = reading?.getFrame(3);
	expect((await reading?.getFrame(1))?.text()).toBe("one");
	expect((await reading?.readFrame())?.text()).toBe("zero");
	await expect(reading?.getFrame(0)).rejects.toMatchObject({ kind: "lagged" });
	await expect(reading?.getFrame(9999)).rejects.toMatchObject({ kind: "out-of-range" });
	group.writeFrame("two");
	group.writeFrame("three");
	expect(await later).toMatchObject({ index: 3 });
	expect((await later)?.text()).toBe("three");
	const never = reading?.getFrame(4);
	group.finish();
	expect(await never).toBeUndefined();
	const rest: string[] = [];
	if (reading) for await (const frame of reading) rest.push(frame.text());
	expect(rest).toEqual(["one", "two", "three"]);
});

test("waiting for one frame goes past a window full of frames before it", async () => {
	const track = (await broadcast()).createTrack("data");
	const subscriber = await track.subscribe({ maxLatencyMs: 60_000 });
	const group = track.appendGroup();
	for (let index = 0; index < 300; index++) {
		await group.ready;
		group.writeFrame(`${index}`);
	}
	const reading = await subscriber.nextGroup();
	expect((await reading?.getFrame(250))?.text()).toBe("250");
	expect((await reading?.readFrame())?.text()).toBe("0");
});

test("groups come in the order of arrival on request, each once, whatever was read before", async () => {
	const track = (await broadcast()).createTrack("data");
	const subscriber = await track.subscribe({ maxLatencyMs: 60_000 });
	const first = subscriber.recvGroup();
	// The worker knows how they are wanted before any comes.
	await open[0]?.runtime.stats();
	for (const sequence of [5, 3, 8]) track.createGroup(sequence).finish();
	const order: (number | undefined)[] = [(await first)?.sequence];
	for (let count = 0; count < 2; count++) order.push((await subscriber.recvGroup())?.sequence);
	for (const sequence of [7, 6, 9]) track.createGroup(sequence).finish();
	order.push((await subscriber.recvGroup())?.sequence);
	order.push((await subscriber.nextGroup())?.sequence);
	track.finish();
	const rest: number[] = [];
	for (;;) {
		const group = await subscriber.recvGroup();
		if (!group) break;
		rest.push(group.sequence);
	}
	expect(order.slice(0, 4)).toEqual([5, 3, 8, 7]);
	// What was read by arrival makes nothing late for a read in order.
	expect(order[4]).toBe(6);
	expect(rest).toEqual([9]);
});

test("a read in order waits for what is missing, and tells what it has given up", async () => {
	const track = (await broadcast()).createTrack("data");
	const subscriber = await track.subscribe({ maxLatencyMs: 60_000 });
	const seen: unknown[] = [];
	subscriber.addEventListener("gap", ({ detail }) => seen.push(detail));
	const next = async () => seen.push((await subscriber.nextGroup())?.sequence);
	for (const sequence of [5, 3]) track.createGroup(sequence).finish();
	await next();
	const fourth = subscriber.nextGroup();
	await open[0]?.runtime.stats();
	expect(fourth.status).toBe("pending");
	track.createGroup(4).finish();
	seen.push((await fourth)?.sequence);
	await next();
	subscriber.update({ maxLatencyMs: 100 });
	track.createGroup(8).finish();
	await next();
	track.finish();
	await next();
	expect(seen).toEqual([3, 4, 5, { from: 6, to: 7, reason: "late" }, 8, undefined]);
	expect(subscriber.stats()).toEqual({ groups: 4, gaps: 1, missing: 2 });
});

test("a reader that is slower than the writer loses nothing that the track still keeps, and hears of the rest", async () => {
	const track = (await broadcast()).createTrack("data", { cacheMs: 60_000 });
	const subscriber = await track.subscribe();
	const count = 1500;
	for (let sequence = 0; sequence < count; sequence++) {
		await track.ready;
		track.writeFrame(`${sequence}`);
	}
	track.finish();
	const seen: string[] = [];
	for await (const group of subscriber) for await (const frame of group) seen.push(frame.text());
	expect(seen).toEqual(Array.from({ length: count }, (_, sequence) => `${sequence}`));
	expect(subscriber.stats()).toEqual({ groups: count, gaps: 0, missing: 0 });
});

test("what leaves the cache before it is read is told as gaps", async () => {
	const track = (await broadcast()).createTrack("data", { cacheMs: 0 });
	const subscriber = await track.subscribe();
	const seen: unknown[] = [];
	let gaps = 0;
	let missing = 0;
	subscriber.addEventListener("gap", ({ detail: { from, to, reason } }) => {
		expect(reason).toBe("expired");
		gaps++;
		missing += to - from + 1;
		for (let sequence = from; sequence <= to; sequence++) seen.push(sequence);
	});
	for (let sequence = 0; sequence < 200; sequence++) {
		await track.ready;
		track.writeFrame(`${sequence}`);
	}
	track.finish();
	for await (const frame of subscriber.frames()) seen.push(Number(frame.text()));
	expect(seen).toEqual(Array.from({ length: 200 }, (_, sequence) => sequence));
	expect(gaps).toBeGreaterThan(0);
	expect(subscriber.stats()).toMatchObject({ gaps, missing });
});

test("many groups may be taken before any of them is read", async () => {
	const track = (await broadcast()).createTrack("data");
	const subscriber = await track.subscribe();
	for (let sequence = 0; sequence < 500; sequence++) track.writeFrame(`${sequence}`);
	track.finish();
	const groups = [];
	for await (const group of subscriber) groups.push(group);
	const seen: (string | undefined)[] = [];
	for (const group of groups) seen.push((await group.readFrame())?.text());
	expect(seen).toEqual(Array.from({ length: 500 }, (_, sequence) => `${sequence}`));
});

test.each(["moq-lite-05", "moq-lite-06"] as const)(
	"datagrams travel on %s, and come as groups too",
	async (version) => {
		const { near, far } = await pair(version);
		const data = near.createBroadcast("room/bob").createTrack("data", { timescale: 1000 });
		const subscriber = await (await far.waitForBroadcast("room/bob")).track("data").subscribe({ maxLatencyMs: 5000 });
		const received = subscriber.recvDatagram();
		await data.used();
		expect(data.writeDatagram("ping", 7)).toBe(0);
		const datagram = await received;
		expect(datagram).toMatchObject({ sequence: 0, timestamp: 7 });
		expect(datagram?.text()).toBe("ping");
		const group = await subscriber.nextGroup();
		expect(group?.sequence).toBe(0);
		expect((await group?.readFrame())?.text()).toBe("ping");
		expect(data.writeFrame("next", 8)).toBe(1);
	},
);

test("datagrams that nobody reads give way to newer ones and hold up nothing", async () => {
	const track = (await broadcast()).createTrack("data");
	const subscriber = await track.subscribe({ maxLatencyMs: 60_000 });
	const first = subscriber.recvDatagram();
	track.writeDatagram("0");
	expect((await first)?.text()).toBe("0");
	const count = 500;
	for (let sent = 1; sent < count; sent++) {
		await track.ready;
		track.writeDatagram(`${sent}`);
	}
	track.finish();
	let last: string | undefined;
	for (;;) {
		const datagram = await subscriber.recvDatagram();
		if (!datagram) break;
		last = datagram.text();
	}
	expect(Number(last)).toBeGreaterThan(400);
});

test("a datagram that is too large for any path is refused at once", async () => {
	const track = (await broadcast()).createTrack("data");
	expect(() => track.writeDatagram(new Uint8Array(1141))).toThrow(expect.objectContaining({ kind: "too-large" }));
	expect(track.writeDatagram(new Uint8Array(1140))).toBe(0);
	expect(() => track.writeDatagram("x", 5)).toThrow(UsageError);
});
