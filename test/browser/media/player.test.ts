import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { CoreApi, Handle } from "../../../worker/core/api.ts";
import { Core } from "../../../worker/core/core.ts";
import { boxesIn } from "../../../worker/media/boxes.ts";
import { Player } from "../../../worker/media/player.ts";
import { Publisher } from "../../../worker/media/publisher.ts";
import type { ErrorData } from "../../../worker/protocol/error.ts";
import type { PictureMessage, PlayerEvent, PublisherEvent } from "../../../worker/protocol/media.ts";

const PATH = "room/pattern.hang";

let core: CoreApi;
let fatal: ErrorData | undefined;
beforeEach(async () => {
	fatal = undefined;
	core = await Core.load({
		wasm: [new URL("../../../dist/core_bg.wasm", import.meta.url)],
		onFatal: (error) => {
			fatal = error;
		},
	});
});
afterEach(() => {
	core.close();
	expect(fatal).toBeUndefined();
});

/** A player as the host makes it, with a renderer that only takes note. */
function play(origin: Handle, rendition?: string) {
	const events = new MessageChannel();
	const pictures = new MessageChannel();
	const seen: PlayerEvent[] = [];
	const times: number[] = [];
	events.port1.onmessage = ({ data }: MessageEvent<PlayerEvent>) => seen.push(data);
	pictures.port2.onmessage = ({ data }: MessageEvent<PictureMessage>) => {
		if (data.type !== "picture") return;
		times.push(data.frame.timestamp);
		data.frame.close();
		pictures.port2.postMessage({ type: "done" });
	};
	const player = new Player(core, origin, {
		player: 1,
		origin: 2,
		broadcast: PATH,
		...(rendition && { rendition }),
		pictures: pictures.port1,
		port: events.port2,
	});
	onTestFinished(() => player.close());
	return {
		player,
		times,
		states: () => seen.flatMap((event) => (event.type === "state" ? event.state : [])),
		renditions: () => seen.flatMap((event) => (event.type === "rendition" ? event.rendition.name : [])),
		errors: () => seen.flatMap((event) => (event.type === "error" ? event.error : [])),
		stats: () => seen.flatMap((event) => (event.type === "stats" ? event.stats : [])).at(-1),
	};
}

/** A real cmaf rendition: the init segment as a catalog carries it, and its fragments group by group. */
async function cmaf(name: string, codec: string) {
	const response = await fetch(new URL(`../../support/fixtures/${name}.mp4`, import.meta.url));
	const file = new Uint8Array(await response.arrayBuffer());
	const boxes = boxesIn(file);
	const init = file.slice(0, boxes.find((box) => box.type === "moov")?.end);
	const fragments = boxes.flatMap((box, i) => {
		const next = boxes[i + 1];
		return box.type === "moof" && next ? [file.slice(box.start, next.end)] : [];
	});
	const entry = { codec, container: { kind: "cmaf", init: btoa(String.fromCharCode(...init)) } };
	const groups = [0, 1, 2].map((i) => fragments.slice(15 * i, 15 * (i + 1)));
	return { entry, groups };
}

/** A broadcast written by hand. */
function publish(origin: Handle) {
	const broadcast = core.createBroadcast(origin, PATH);
	const catalog = core.createTrack(broadcast, "catalog.json");
	return {
		catalog: (renditions: object) =>
			core.writeTrackFrame(catalog, new TextEncoder().encode(JSON.stringify({ video: { renditions } }))),
		track: (name: string) => core.createTrack(broadcast, name, { timescale: 1_000_000, cacheMs: 30_000 }),
		group(track: Handle, frames: Uint8Array[]) {
			const { handle } = core.createGroup(track);
			for (const frame of frames) core.writeFrame(handle, frame, 0);
			core.finishGroup(handle);
		},
		finish: () => core.finishTrack(catalog),
		drop: () => core.free(broadcast),
	};
}

describe("player", () => {
	it("waits for the broadcast, follows its catalog and shows its pictures in order", async () => {
		const origin = core.createOrigin();
		const player = play(origin);
		await expect.poll(player.states).toEqual(["waiting-announce"]);
		const { entry, groups } = await cmaf("h264", "avc1.42d00b");
		const publisher = publish(origin);
		await expect.poll(player.states).toContain("loading-catalog");
		const track = publisher.track("0.m4s");
		publisher.catalog({ "0.m4s": entry, future: { codec: "avc1.64001f", container: { kind: "mystery" } } });
		await expect.poll(player.states).toContain("buffering");
		// One after the other: what is more than the latency budget behind the newest picture would be skipped.
		for (const [i, group] of groups.entries()) {
			publisher.group(track, group);
			await expect.poll(() => player.times.length).toBeGreaterThan(15 * i + 12);
		}
		expect(player.times).toEqual([...player.times].sort((a, b) => a - b));
		expect(player.states()).toEqual(["waiting-announce", "loading-catalog", "buffering", "playing"]);
		expect(player.errors()).toEqual([]);
		publisher.finish();
		await expect.poll(player.states).toContain("ended");
	});

	it("keeps playing over a republished catalog and changes over when its rendition goes", async () => {
		const origin = core.createOrigin();
		const publisher = publish(origin);
		const player = play(origin);
		const { entry, groups } = await cmaf("h264", "avc1.42d00b");
		const [first, second] = [publisher.track("a"), publisher.track("b")];
		publisher.catalog({ a: entry });
		publisher.group(first, groups[0] ?? []);
		await expect.poll(() => player.times.length).toBeGreaterThan(10);
		for (const bitrate of [1000, 2000, 3000]) publisher.catalog({ a: { ...entry, bitrate } });
		publisher.group(first, groups[1] ?? []);
		await expect.poll(() => player.times.length).toBeGreaterThan(25);
		expect(player.renditions()).toEqual(["a"]);
		publisher.catalog({ b: entry });
		await expect.poll(player.renditions).toEqual(["a", "b"]);
		publisher.group(second, groups[2] ?? []);
		await expect.poll(() => player.times.at(-1)).toBeGreaterThan(1_200_000);
		expect(player.errors()).toEqual([]);
	});

	it("goes offline when the broadcast vanishes and plays again when it returns", async () => {
		const origin = core.createOrigin();
		const { entry, groups } = await cmaf("h264", "avc1.42d00b");
		const player = play(origin);
		for (const round of [1, 2]) {
			const publisher = publish(origin);
			const track = publisher.track("v");
			publisher.catalog({ v: entry });
			publisher.group(track, groups[0] ?? []);
			await expect.poll(() => player.states().filter((state) => state === "playing").length).toBe(round);
			publisher.drop();
			await expect.poll(() => player.states().filter((state) => state === "offline").length).toBe(round);
		}
	});

	it("says why nothing of a catalog can be played, and plays when that changes", async () => {
		const origin = core.createOrigin();
		const publisher = publish(origin);
		const player = play(origin);
		publisher.catalog({ x: { codec: "hev1.9.9" }, y: { codec: "vp8", container: { kind: "mystery" } } });
		await expect.poll(player.states).toContain("unsupported");
		expect(player.errors()).toMatchObject([{ kind: "unsupported", message: expect.stringMatching(/"y".*"x"/) }]);
		const { entry, groups } = await cmaf("h264", "avc1.42d00b");
		const track = publisher.track("v");
		publisher.catalog({ v: entry });
		publisher.group(track, groups[0] ?? []);
		await expect.poll(player.states).toContain("playing");
	});

	it("survives a malformed catalog and malformed frames", async () => {
		const origin = core.createOrigin();
		const publisher = publish(origin);
		const player = play(origin);
		const { entry, groups } = await cmaf("h264", "avc1.42d00b");
		const track = publisher.track("v");
		publisher.catalog({ v: entry });
		const frames = groups[0] ?? [];
		publisher.group(track, [...frames, new Uint8Array([0, 0, 0])]);
		await expect.poll(() => player.stats()?.malformed).toBe(1);
		publisher.group(track, groups[1] ?? []);
		await expect.poll(() => player.times.at(-1)).toBeGreaterThan(600_000);
	});

	it("leaves nothing behind in the core when it is closed", async () => {
		const origin = core.createOrigin();
		const publisher = publish(origin);
		const track = publisher.track("v");
		const { entry, groups } = await cmaf("h264", "avc1.42d00b");
		publisher.catalog({ v: entry });
		publisher.group(track, groups[0] ?? []);
		const before = core.stats().handles;
		const player = play(origin);
		await expect.poll(player.states).toContain("playing");
		expect(core.stats().handles).not.toEqual(before);
		player.player.close();
		await expect.poll(player.states).toContain("closed");
		await expect.poll(() => core.stats().handles).toEqual(before);
		expect(core.stats().operations).toBe(0);
	});
});

describe("publisher", () => {
	it("announces a pattern, encodes while somebody watches and rests afterwards", async () => {
		const origin = core.createOrigin();
		const { port1, port2 } = new MessageChannel();
		const seen: PublisherEvent[] = [];
		port1.onmessage = ({ data }: MessageEvent<PublisherEvent>) => seen.push(data);
		const states = () => seen.flatMap((event) => (event.type === "state" ? event.state : []));
		const before = core.stats().handles;
		const publisher = new Publisher(core, origin, {
			publisher: 1,
			origin: 2,
			broadcast: PATH,
			source: "test-pattern",
			port: port2,
		});
		await expect.poll(states, { timeout: 10_000 }).toEqual(["starting", "idle"]);
		const player = play(origin);
		await expect.poll(() => player.times.length, { timeout: 10_000 }).toBeGreaterThan(60);
		expect(states().at(-1)).toBe("encoding");
		player.player.close();
		await expect.poll(() => states().at(-1)).toBe("idle");
		publisher.close();
		await expect.poll(() => states().at(-1)).toBe("closed");
		await expect.poll(() => core.stats().handles).toEqual(before);
		expect(player.errors()).toEqual([]);
	});
});
