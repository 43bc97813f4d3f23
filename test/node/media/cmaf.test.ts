import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { boxAt, boxesIn } from "../../../worker/media/boxes.ts";
import { CmafDemuxer } from "../../../worker/media/cmaf.ts";
import { parseCmafInit } from "../../../worker/media/cmaf-init.ts";
import { ContainerError, type Sample } from "../../../worker/media/container.ts";
import { toHex } from "../../support/hex.ts";

/** A fragmented file of ffmpeg cut the way importers cut it: `ftyp` + `moov`, then one frame per `moof` + `mdat`. */
function fixture(name: string): { init: Uint8Array<ArrayBuffer>; frames: Uint8Array<ArrayBuffer>[] } {
	const file = new Uint8Array(readFileSync(new URL(`../../support/fixtures/${name}.mp4`, import.meta.url)));
	const boxes = boxesIn(file);
	const moov = boxes.find((box) => box.type === "moov");
	if (!moov) throw new Error("fixture without moov");
	const frames = boxes.flatMap((box, i) => {
		const next = boxes[i + 1];
		return box.type === "moof" && next?.type === "mdat" ? [file.slice(box.start, next.end)] : [];
	});
	return { init: file.slice(0, moov.end), frames };
}

function demux(name: string): { perFrame: number[]; samples: Sample[] } {
	const { init, frames } = fixture(name);
	const demuxer = new CmafDemuxer(init);
	const samples = frames.map((frame) => demuxer.samples(frame));
	return { perFrame: samples.map((list) => list.length), samples: samples.flat() };
}

const keys = (samples: Sample[]) => samples.flatMap((sample, i) => (sample.isKey ? [i] : []));

describe("cmaf init", () => {
	it.each([
		["h264", "avc1", 15360, "0142d00bffe1"],
		["h264-b-frames", "avc1", 15360, "01640009ffe1"],
		["h265", "hvc1", 15360, "01"],
		["av1", "av01", 15360, "81"],
		["vp9", "vp09", 15360, undefined],
	])("%s: sample entry %s, timescale %d, description %s…", (name, format, timescale, description) => {
		const init = parseCmafInit(fixture(name).init);
		expect(init).toMatchObject({ trackId: 1, format, timescale });
		if (description === undefined) expect(init.description).toBeUndefined();
		else expect(toHex(init.description ?? new Uint8Array())).toMatch(new RegExp(`^${description}`));
	});

	it("refuses init segments that are cut off, without a track, or with two", () => {
		const { init } = fixture("h264");
		for (const length of [0, 7, 40, 300, init.length - 1])
			expect(() => parseCmafInit(init.slice(0, length)), `${length}`).toThrow(ContainerError);
		const moov = boxAt(init, "moov");
		const trak = boxAt(moov.body, "trak");
		const body = moov.body.slice(trak.start, trak.end);
		const twice = new Uint8Array(8 + 2 * body.length);
		new DataView(twice.buffer).setUint32(0, twice.length);
		twice.set([0x6d, 0x6f, 0x6f, 0x76], 4);
		twice.set(body, 8);
		twice.set(body, 8 + body.length);
		expect(() => parseCmafInit(twice)).toThrow(/2 tracks/);
	});
});

describe("cmaf fragments", () => {
	it("reads one sample per fragment, keyframes from first_sample_flags", () => {
		const { perFrame, samples } = demux("h264");
		expect(perFrame).toEqual(Array(45).fill(1));
		expect(keys(samples)).toEqual([0, 15, 30]);
		expect(samples.map((sample) => sample.timestampUs)).toEqual(
			Array.from({ length: 45 }, (_, i) => Math.round((i * 1e6) / 30)),
		);
		expect(samples.every((sample) => sample.durationUs === 33333)).toBe(true);
	});

	it("keeps decode order and reordered presentation times of B-frames", () => {
		const { samples } = demux("h264-b-frames");
		const times = samples.map((sample) => sample.timestampUs);
		expect(times.slice(0, 5)).not.toEqual([...times.slice(0, 5)].sort((a, b) => a - b));
		// Signed composition offsets: the first shown frame is at 0 although it is decoded first.
		const shown = [...times].sort((a, b) => a - b);
		expect(shown).toEqual(Array.from({ length: 45 }, (_, i) => Math.round((i * 1e6) / 30)));
	});

	it("takes every sample out of a fragment that holds several", () => {
		const { perFrame, samples } = demux("h264-multi-sample");
		expect(Math.max(...perFrame)).toBeGreaterThanOrEqual(3);
		expect(samples).toHaveLength(45);
		expect(keys(samples)).toEqual([0, 15, 30]);
		expect(samples.map((sample) => sample.timestampUs)).toEqual(
			Array.from({ length: 45 }, (_, i) => Math.round((i * 1e6) / 30)),
		);
		// Length-prefixed H.264: the prefixes must walk each sample exactly.
		for (const { data } of samples) {
			const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
			let at = 0;
			while (at < data.byteLength) at += 4 + view.getUint32(at);
			expect(at).toBe(data.byteLength);
		}
	});

	it("treats a zero duration as unknown", () => {
		const { samples } = demux("h264-frag-every-frame");
		expect(samples).toHaveLength(30);
		const unknown = samples.filter((sample) => sample.durationUs === undefined);
		expect(unknown.length + samples.filter((sample) => sample.durationUs === 33333).length).toBe(30);
	});

	it("never reads outside a frame, wherever it is cut or bent", () => {
		const { init, frames } = fixture("h264-multi-sample");
		const demuxer = new CmafDemuxer(init);
		const frame = frames[0];
		if (!frame) throw new Error("fixture without fragments");
		for (let length = 1; length < frame.length; length += 7)
			expect(() => demuxer.samples(frame.slice(0, length)), `cut at ${length}`).toThrow(ContainerError);
		for (let at = 0; at < 200; at++) {
			for (const value of [0x00, 0x7f, 0xff]) {
				const bent = frame.slice();
				bent[at] = value;
				try {
					for (const { data } of demuxer.samples(bent))
						expect(data.byteOffset + data.byteLength).toBeLessThanOrEqual(bent.length);
				} catch (error) {
					expect(error).toBeInstanceOf(ContainerError);
				}
			}
		}
	});

	it("ignores fragments of another track", () => {
		const { init, frames } = fixture("h264");
		const frame = frames[0]?.slice();
		if (!frame) throw new Error("fixture without fragments");
		const tfhd = boxAt(boxAt(frame, "moof", "traf").body, "tfhd");
		new DataView(tfhd.body.buffer, tfhd.body.byteOffset).setUint32(4, 9);
		expect(new CmafDemuxer(init).samples(frame)).toEqual([]);
	});
});
