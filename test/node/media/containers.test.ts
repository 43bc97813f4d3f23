import { describe, expect, it } from "vitest";
import { ContainerError, ticksToUs } from "../../../worker/media/container.ts";
import { fromBase64, fromHex } from "../../../worker/media/hex.ts";
import { LegacyDemuxer, legacyFrame } from "../../../worker/media/legacy.ts";
import { LocDemuxer } from "../../../worker/media/loc.ts";
import { resolveBroadcast } from "../../../worker/media/relative.ts";
import { readVarint, varintLength, writeVarint } from "../../../worker/media/varint.ts";
import { toHex } from "../../support/hex.ts";

const hex = (text: string) => {
	const bytes = fromHex(text.replaceAll(" ", ""));
	if (!bytes) throw new Error(`not hex: ${text}`);
	return bytes;
};

describe("varint", () => {
	it.each([
		[0, "00"],
		[63, "3f"],
		[64, "4040"],
		[16383, "7fff"],
		[16384, "80004000"],
		[2 ** 30 - 1, "bfffffff"],
		[2 ** 30, "c000000040000000"],
		[Number.MAX_SAFE_INTEGER, "c01fffffffffffff"],
	])("writes %d as %s and reads it back", (value, encoded) => {
		const bytes = new Uint8Array(varintLength(value));
		expect(writeVarint(bytes, 0, value)).toBe(bytes.length);
		expect(toHex(bytes)).toBe(encoded);
		expect(readVarint(bytes)).toEqual({ value, end: bytes.length });
	});

	it("has no value when cut off or beyond 2^53−1", () => {
		for (const bad of ["", "40", "800040", "c0000000400000", "ffffffffffffffff"])
			expect(readVarint(hex(bad))).toBeUndefined();
	});
});

describe("legacy", () => {
	const samples = (text: string) =>
		new LegacyDemuxer().samples(hex(text)).map(({ timestampUs, data }) => [timestampUs, toHex(data)]);

	it.each([
		["00 aabb", 0, "aabb"],
		["80008235 aabb", 33333, "aabb"],
		["80989680 01", 10_000_000, "01"],
	])("reads %s", (frame, timestampUs, payload) => {
		expect(samples(frame)).toEqual([[timestampUs, payload]]);
		const written = legacyFrame(timestampUs, payload.length / 2, (view) => view.set(hex(payload)));
		expect(toHex(written)).toBe(frame.replaceAll(" ", ""));
	});

	it("takes an empty payload as a marker, not as a sample", () => {
		expect(samples("80989680")).toEqual([]);
	});

	it("refuses a frame without a whole timestamp", () => {
		for (const bad of ["", "40", "8000"]) expect(() => samples(bad)).toThrow(ContainerError);
	});
});

describe("loc", () => {
	const samples = (text: string) =>
		new LocDemuxer().samples(hex(text)).map(({ timestampUs, data }) => [timestampUs, toHex(data)]);

	it("reads timestamps in µs and in another timescale", () => {
		expect(samples("02 1005 aa")).toEqual([[5, "aa"]]);
		expect(samples("0a 088000bb80 0880017700 aa")).toEqual([[2_000_000, "aa"]]);
	});

	it("skips unknown properties of both kinds and accepts the older timestamp type", () => {
		expect(samples("05 0301ff 0d07 ee")).toEqual([[7, "ee"]]);
		expect(samples("02 0607 ee")).toEqual([[7, "ee"]]);
	});

	it("takes an empty payload as a marker", () => {
		expect(samples("02 1005")).toEqual([]);
	});

	it("refuses malformed properties", () => {
		for (const bad of ["", "05 1005 aa", "00 aa", "04 0800 0805 aa", "01 10 aa", "02 0a05 aa", "02 0b05 aa"])
			expect(() => samples(bad), bad).toThrow(ContainerError);
	});
});

describe("time", () => {
	it("rounds ticks to the nearest microsecond without adding errors up", () => {
		expect(ticksToUs(512, 15360)).toBe(33333);
		expect(ticksToUs(1024, 15360)).toBe(66667);
		expect(ticksToUs(-1024, 15360)).toBe(-66667);
		expect(ticksToUs(2 ** 50 + 1, 1)).toBe((2 ** 50 + 1) * 1e6);
		expect(ticksToUs(90_000 * 1e6 + 45_000, 90_000)).toBe(1e12 + 500_000);
	});
});

describe("text forms", () => {
	it("reads hex of either case and nothing else", () => {
		expect(fromHex("0AfF")).toEqual(new Uint8Array([0x0a, 0xff]));
		for (const bad of ["0", "0x10", "zz", "0 "]) expect(fromHex(bad)).toBeUndefined();
		expect(fromBase64("AAEC")).toEqual(new Uint8Array([0, 1, 2]));
		expect(fromBase64("A*")).toBeUndefined();
	});
});

describe("relative broadcast", () => {
	it.each([
		["room/transcode", "./source", "room/source"],
		["room/transcode", "source", "room/source"],
		["room/transcode", ".", "room"],
		["room/transcode", "", "room/transcode"],
		["room/a/b", "../c/./d/", "room/c/d"],
		["a", "b", "b"],
		["a", "..", undefined],
		["room/a", "../../x", undefined],
	])("%s + %s is %s", (base, reference, path) => {
		expect(resolveBroadcast(base, reference)).toBe(path);
	});
});
