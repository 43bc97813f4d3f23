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

	it("takes a fragment's only track for its own, and ignores others beside it", () => {
		const { init, frames } = fixture("h264");
		const frame = frames[0]?.slice();
		if (!frame) throw new Error("fixture without fragments");
		const tfhd = boxAt(boxAt(frame, "moof", "traf").body, "tfhd");
		new DataView(tfhd.body.buffer, tfhd.body.byteOffset).setUint32(4, 9);
		expect(new CmafDemuxer(init).samples(frame)).toHaveLength(1);
		const both = concat(box("moof", traf(9), traf(1)), box("mdat", [7]));
		expect(new CmafDemuxer(vp8).samples(both)).toHaveLength(1);
	});
});

const u32 = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
const zeros = (count: number) => new Array<number>(count).fill(0);
const concat = (...parts: number[][]) => new Uint8Array(parts.flat());

function box(type: string, ...body: number[][]): number[] {
	const bytes = body.flat();
	return [...u32(bytes.length + 8), ...[...type].map((char) => char.charCodeAt(0)), ...bytes];
}

const track = (id: number, handler: string, entry: number[]) =>
	box(
		"trak",
		box("tkhd", u32(0), zeros(8), u32(id)),
		box(
			"mdia",
			box("mdhd", u32(0), zeros(8), u32(1000)),
			box(
				"hdlr",
				zeros(8),
				[...handler].map((char) => char.charCodeAt(0)),
			),
			box("minf", box("stbl", box("stsd", zeros(8), entry))),
		),
	);

const vp8 = concat(box("moov", track(1, "vide", box("vp08", zeros(78)))));
/** One sample of a byte at the start of the payload. */
const traf = (id: number, time = [box("tfdt", u32(0), u32(5))]) =>
	box("traf", box("tfhd", u32(0x10), u32(id), u32(1)), ...time, box("trun", u32(0), u32(1)));

describe("what packagers write", () => {
	it("finds the video of an init segment with sound", () => {
		const init = concat(
			box("moov", track(1, "soun", box("mp4a", zeros(28))), track(2, "vide", box("vp08", zeros(78)))),
		);
		expect(parseCmafInit(init)).toMatchObject({ trackId: 2, format: "vp08" });
	});

	it("says that an encrypted track is", () => {
		expect(() => parseCmafInit(concat(box("moov", track(1, "vide", box("encv", zeros(78))))))).toThrow(
			/encrypted \(encv\)/,
		);
	});

	it("takes zeros at the end of a sample entry for padding", () => {
		const entry = box("avc1", zeros(78), box("avcC", [1, 66]), zeros(4));
		expect(parseCmafInit(concat(box("moov", track(1, "vide", entry)))).description).toEqual(new Uint8Array([1, 66]));
	});

	it("goes on where the fragment before ended when one has no time", () => {
		const timed = box(
			"moof",
			box(
				"traf",
				box("tfhd", u32(0x18), u32(1), u32(40), u32(1)),
				box("tfdt", u32(0), u32(5)),
				box("trun", u32(0), u32(1)),
			),
		);
		const untimed = box("moof", traf(1, []));
		const frame = concat(timed, box("mdat", [1]), untimed, box("mdat", [2]));
		const samples = new CmafDemuxer(vp8).samples(frame);
		expect(samples.map(({ timestampUs, data }) => [timestampUs, data[0]])).toEqual([
			[5_000, 1],
			[45_000, 2],
		]);
		expect(() => new CmafDemuxer(vp8).samples(concat(untimed, box("mdat", [2])))).toThrow(ContainerError);
	});

	it("reads a negative offset of a run of version 0 as one", () => {
		const run = box("trun", u32(0x800), u32(1), u32(-2 >>> 0));
		const frame = concat(
			box("moof", box("traf", box("tfhd", u32(0x10), u32(1), u32(1)), box("tfdt", u32(0), u32(5)), run)),
			box("mdat", [1]),
		);
		expect(new CmafDemuxer(vp8).samples(frame)[0]?.timestampUs).toBe(3_000);
	});

	it("refuses times beyond 2^53", () => {
		const time = box("tfdt", u32(0x0100_0000), u32(0x8000_0000), u32(0));
		expect(() => new CmafDemuxer(vp8).samples(concat(box("moof", traf(1, [time])), box("mdat", [1])))).toThrow(
			ContainerError,
		);
	});
});

describe("what a frame may cost", () => {
	it("reads twenty thousand fragments in one frame", () => {
		const moof = box("moof", traf(1));
		const frame = new Uint8Array(moof.length * 20_000 + 9);
		for (let at = 0; at < 20_000; at++) frame.set(moof, at * moof.length);
		frame.set(box("mdat", [1]), moof.length * 20_000);
		expect(new CmafDemuxer(vp8).samples(frame)).toHaveLength(20_000);
	});

	it.each([
		[
			"empty samples",
			(count: number) =>
				box(
					"moof",
					box("traf", box("tfhd", u32(0), u32(1)), box("tfdt", u32(0), u32(0)), box("trun", u32(0), u32(count))),
				),
		],
		[
			"samples of the same byte",
			(count: number) =>
				box(
					"moof",
					box(
						"traf",
						box("tfhd", u32(0x10), u32(1), u32(0)),
						box("tfdt", u32(0), u32(0)),
						box("trun", u32(0), u32(count)),
					),
				),
		],
	])("counts %s of all fragments together, and takes no more than the frame has bytes", (_, fragment) => {
		const [moof] = [fragment(40)];
		const fine = concat(moof, box("mdat", zeros(40)));
		expect(() => new CmafDemuxer(vp8).samples(fine)).not.toThrow();
		const many = concat(...Array.from({ length: 400 }, () => fragment(60)), box("mdat", zeros(1)));
		expect(() => new CmafDemuxer(vp8).samples(many)).not.toThrow();
		const more = concat(...Array.from({ length: 400 }, () => fragment(120)), box("mdat", zeros(1)));
		expect(() => new CmafDemuxer(vp8).samples(more)).toThrow(/more than \d+ samples/);
	});
});
