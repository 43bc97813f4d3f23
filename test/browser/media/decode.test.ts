import { describe, expect, it } from "vitest";
import { boxesIn } from "../../../worker/media/boxes.ts";
import type { VideoRendition } from "../../../worker/media/catalog.ts";
import { CmafDemuxer } from "../../../worker/media/cmaf.ts";
import { videoDecoderConfig } from "../../../worker/media/codec.ts";
import { GroupQueue, type QueuedSample } from "../../../worker/media/group-queue.ts";
import { PictureDecoder } from "../../../worker/media/picture-decoder.ts";
import { MAX_OUTSTANDING, PictureSender } from "../../../worker/media/picture-sender.ts";
import type { PictureMessage } from "../../../worker/protocol/media.ts";

async function fixture(name: string) {
	const response = await fetch(new URL(`../../support/fixtures/${name}.mp4`, import.meta.url));
	const file = new Uint8Array(await response.arrayBuffer());
	const boxes = boxesIn(file);
	const moov = boxes.find((box) => box.type === "moov");
	if (!moov) throw new Error("fixture without moov");
	const demuxer = new CmafDemuxer(file.slice(0, moov.end));
	const samples = boxes.flatMap((box, i) => {
		const next = boxes[i + 1];
		return box.type === "moof" && next ? demuxer.samples(file.slice(box.start, next.end)) : [];
	});
	return { demuxer, samples };
}

function rendition(codec: string): VideoRendition {
	const raw = Object.create(null);
	return { name: "v", codec, container: { kind: "legacy" }, optimizeForLatency: true, stalled: false, raw };
}

async function configure(codec: string, description: Uint8Array<ArrayBuffer> | undefined): Promise<VideoDecoderConfig> {
	const config = await videoDecoderConfig(rendition(codec), description);
	if (!config) throw new Error(`${codec} cannot be decoded here`);
	return config;
}

/** Decodes as a player does: group by group, never more than the decoder has room for. Resolves to the pictures' times. */
function decodeAll(config: VideoDecoderConfig, samples: QueuedSample[], expected: number): Promise<number[]> {
	return new Promise((resolve, reject) => {
		const times: number[] = [];
		const queue = [...samples];
		const pump = () => {
			while (queue[0] && decoder.hasRoom) if (!decoder.decode(queue[0]) || queue.shift() === undefined) return;
		};
		const decoder = new PictureDecoder(config, {
			picture: (frame) => {
				times.push(frame.timestamp);
				frame.close();
				if (times.length === expected) resolve(times);
			},
			room: pump,
			restarting: reject,
			failed: reject,
		});
		pump();
	});
}

describe("decoder", () => {
	it.each([
		["h264", "avc1.42d00b", 45],
		["h264-multi-sample", "avc1.42d00b", 45],
		["vp9", "vp09.00.10.08", 30],
		["av1", "av01.0.00M.08", 15],
	])("shows every picture of %s in order", async (name, codec, pictures) => {
		const { demuxer, samples } = await fixture(name);
		const queue = samples.map((sample, i) => ({ sample, sequence: 0, isFirst: i === 0 }));
		// A decoder may hold its last pictures back until more input comes; a live stream always brings more.
		const times = await decodeAll(await configure(codec, demuxer.description), queue, pictures - 2);
		expect(times).toEqual(samples.map(({ timestampUs }) => timestampUs).slice(0, times.length));
	});

	it("brings B-frames into presentation order", async () => {
		const { demuxer, samples } = await fixture("h264-b-frames");
		const queue = samples.map((sample, i) => ({ sample, sequence: 0, isFirst: i === 0 }));
		const times = await decodeAll(await configure("avc1.64000d", demuxer.description), queue, 40);
		expect(times).toEqual([...times].sort((a, b) => a - b));
		expect(new Set(times).size).toBe(40);
	});

	it("starts anew at the next group after an error, and gives up after the fourth in a row", async () => {
		const { demuxer, samples } = await fixture("h264");
		const config = await configure("avc1.42d00b", demuxer.description);
		const garbage = { timestampUs: 0, data: new Uint8Array(64).fill(0xa5) };
		const good = samples[0];
		if (!good) throw new Error("fixture without samples");
		const events: string[] = [];
		let changed = () => {};
		const note = (event: string) => {
			events.push(event);
			changed();
		};
		const next = (event: string) =>
			new Promise<void>((resolve) => {
				changed = () => events.at(-1) === event && resolve();
			});
		const decoder = new PictureDecoder(config, {
			picture: (frame) => {
				frame.close();
				note("picture");
			},
			room: () => {},
			restarting: () => note("restarting"),
			failed: () => note("failed"),
		});
		const first = (sample: typeof good): QueuedSample => ({ sample, sequence: 0, isFirst: true });
		let waiting = next("restarting");
		decoder.decode(first(garbage));
		await waiting;
		// Until the next group starts, deltas have no use.
		expect(decoder.decode({ sample: good, sequence: 0, isFirst: false })).toBe(false);
		waiting = next("picture");
		for (const [i, sample] of samples.slice(0, 10).entries()) decoder.decode({ sample, sequence: 1, isFirst: i === 0 });
		await waiting;
		for (const outcome of ["restarting", "restarting", "failed"]) {
			waiting = next(outcome);
			decoder.decode(first(garbage));
			await waiting;
		}
		expect(decoder.decode(first(good))).toBe(false);
	});

	it("takes what this browser refuses as a rendition that cannot be played", async () => {
		for (const codec of ["nonsense", "avc1", "hev1.1.6.L93.B0x"])
			expect(await videoDecoderConfig(rendition(codec), undefined), codec).toBeUndefined();
		expect((await videoDecoderConfig(rendition("avc3.42E01F"), undefined))?.codec).toMatch(/^avc[13]\.42E01F$/);
	});
});

describe("group queue and decoder", () => {
	it("decode on from a newer group when the rest of an older one never comes", async () => {
		const { demuxer, samples } = await fixture("h264");
		const queue = new GroupQueue(100);
		queue.open(1, 0, 0);
		queue.add(1, samples.slice(0, 5));
		queue.open(2, 1, 0);
		queue.add(2, samples.slice(15, 45));
		queue.complete(2);
		const taken: QueuedSample[] = [];
		for (let next = queue.take(); next; next = queue.take()) taken.push(next);
		expect(queue.skip()?.gid).toBe(1);
		for (let next = queue.take(); next; next = queue.take()) taken.push(next);
		const times = await decodeAll(await configure("avc1.42d00b", demuxer.description), taken, 33);
		expect(times.slice(4, 7)).toEqual([133333, 500000, 533333]);
	});
});

describe("picture sender", () => {
	it("keeps the newest picture and closes older ones while the renderer is held up", async () => {
		const { port1, port2 } = new MessageChannel();
		const sender = new PictureSender(port1, (error) => expect.fail(error.message));
		const canvas = new OffscreenCanvas(16, 16);
		canvas.getContext("2d");
		const frames = Array.from({ length: 10 }, (_, i) => new VideoFrame(canvas, { timestamp: i }));
		for (const frame of frames) sender.send(frame);
		expect(sender.overtaken).toBe(10 - MAX_OUTSTANDING);
		// A frame that was transferred or closed has no format any more; the newest one is still here.
		expect(frames.map((frame) => frame.format !== null)).toEqual([...Array(9).fill(false), true]);
		const seen: number[] = [];
		await new Promise<void>((resolve) => {
			port2.onmessage = ({ data }: MessageEvent<PictureMessage>) => {
				if (data.type !== "picture") return;
				seen.push(data.frame.timestamp);
				data.frame.close();
				port2.postMessage({ type: "done" });
				if (data.frame.timestamp === 9 || seen.includes(9)) resolve();
			};
		});
		expect(seen).toEqual([0, 1, 2, 9]);
		sender.close();
		port2.close();
	});
});
