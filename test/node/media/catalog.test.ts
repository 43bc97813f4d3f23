import { describe, expect, it } from "vitest";
import { CatalogError, MAX_RENDITIONS, parseCatalog, sameDecoder } from "../../../worker/media/catalog.ts";
import { CatalogReader, MAX_CATALOG_BYTES, writeCatalog } from "../../../worker/media/catalog-track.ts";
import { JsonError, type JsonObject, mergePatch, parseJsonObject } from "../../../worker/media/json.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const parse = (document: unknown) =>
	parseCatalog(mergePatch(undefined, parseJsonObject(bytes(JSON.stringify(document)))));
const avc = { codec: "avc1.42E01E" };

describe("catalog", () => {
	it("reads a full catalog of today's publishers and judges each rendition alone", () => {
		const catalog = parse({
			video: {
				renditions: {
					"video/hd": {
						codec: "avc1.640028",
						container: { kind: "legacy" },
						codedWidth: 1280,
						codedHeight: 720,
						framerate: 30,
						bitrate: 1935360,
						optimizeForLatency: true,
						jitter: 34,
					},
					"0.m4s": {
						codec: "avc1.42c00d",
						description: "0142C00dffe1",
						container: { kind: "cmaf", init: "AAAAIGZ0eXBpc29t" },
						delay: 12,
					},
					"3.avc3": { codec: "avc3.64001f", container: { kind: "legacy" }, stalled: true },
					future: { codec: "avc1.64001f", container: { kind: "mystery", x: 1 } },
					old: { codec: "avc1.64001f", container: { kind: "cmaf", timescale: 1000, trackId: 1 } },
					src: { codec: "av01.0.08M.08", broadcast: "./source", container: { kind: "loc" } },
				},
				display: { width: 1280, height: 720 },
				rotation: -90,
				flip: true,
			},
			audio: {
				renditions: {
					"audio/data": { codec: "opus", sampleRate: 48000, numberOfChannels: 2, container: { kind: "legacy" } },
					mute: { codec: "opus" },
				},
			},
			text: { renditions: { en: { format: "vtt" } } },
			clock: { wall: 217000000000000, timescale: 1000000 },
		});
		expect([...catalog.video.keys()]).toEqual(["video/hd", "0.m4s", "3.avc3", "src"]);
		expect(catalog.video.get("video/hd")).toMatchObject({
			codedWidth: 1280,
			jitterMs: 34,
			optimizeForLatency: true,
			stalled: false,
		});
		const cmaf = catalog.video.get("0.m4s");
		expect([...(cmaf?.description ?? [])]).toEqual([0x01, 0x42, 0xc0, 0x0d, 0xff, 0xe1]);
		expect(cmaf?.container.kind === "cmaf" && [...cmaf.container.init.subarray(4, 8)]).toEqual([
			0x66, 0x74, 0x79, 0x70,
		]);
		expect(cmaf?.delayMs).toBe(12);
		expect(catalog.video.get("src")?.broadcast).toBe("./source");
		expect(catalog.rejected).toEqual([
			{ section: "video", name: "future", reason: 'unknown container "mystery"' },
			{ section: "video", name: "old", reason: "cmaf container without init" },
			{ section: "audio", name: "mute", reason: "no sampleRate" },
		]);
		expect(catalog).toMatchObject({ display: { width: 1280, height: 720 }, rotation: 270, flip: true });
		expect(catalog.raw.clock).toEqual(
			Object.assign(Object.create(null), { wall: 217000000000000, timescale: 1000000 }),
		);
	});

	it("accepts an empty catalog, and the list forms of early publishers", () => {
		expect(parse({}).video.size).toBe(0);
		expect([...parse({ video: [{ track: { name: "v" }, config: avc }, 7] }).video.keys()]).toEqual(["v"]);
		const audio = { track: { name: "a" }, config: { codec: "opus", sampleRate: 48000, numberOfChannels: 2 } };
		expect([...parse({ audio }).audio.keys()]).toEqual(["a"]);
	});

	it("survives members of the wrong type", () => {
		for (const video of [
			1,
			"x",
			true,
			[],
			{ renditions: [] },
			{ renditions: 3 },
			{ display: { width: "1", height: 2 } },
		])
			expect(parse({ video }).video.size).toBe(0);
		const odd = { ...avc, codedWidth: "wide", framerate: -3, bitrate: {}, jitter: 0, label: 4, displayAspectWidth: 16 };
		const rendition = parse({ video: { renditions: { v: odd } } }).video.get("v");
		expect(rendition).toBeDefined();
		for (const key of ["codedWidth", "framerate", "bitrate", "jitterMs", "label", "displayAspectWidth"])
			expect(rendition).not.toHaveProperty(key);
	});

	it.each([
		["text", "not an object"],
		[{}, "no codec"],
		[{ codec: "a".repeat(200) }, "codec string too long"],
		[{ ...avc, description: "0x01" }, "description is neither hex nor base64"],
		[{ ...avc, description: "012" }, "description is neither hex nor base64"],
		[{ ...avc, broadcast: 3 }, "broadcast is not a path"],
		[{ ...avc, container: 3 }, "container is not an object"],
		[{ ...avc, container: "cmaf" }, "cmaf container without init"],
		[{ ...avc, container: { kind: "cmaf", init: "*" } }, "cmaf init is not base64"],
		[{ ...avc, codedWidth: 8193, codedHeight: 2 }, "8193 pixels on one side, at most 8192 are accepted"],
	])("rejects rendition %j alone", (config, reason) => {
		const catalog = parse({ video: { renditions: { bad: config, good: avc } } });
		expect([...catalog.video.keys()]).toEqual(["good"]);
		expect(catalog.rejected).toEqual([{ section: "video", name: "bad", reason }]);
	});

	it("rejects the renditions beyond its limit, and counts no captions", () => {
		const renditions = Object.fromEntries(Array.from({ length: MAX_RENDITIONS + 1 }, (_, i) => [`v${i}`, { ...avc }]));
		const catalog = parse({ video: { renditions }, text: { renditions: { en: {} } } });
		expect(catalog.video.size).toBe(MAX_RENDITIONS);
		expect(catalog.rejected).toEqual([
			{ section: "video", name: `v${MAX_RENDITIONS}`, reason: `one of more than ${MAX_RENDITIONS} renditions` },
		]);
	});

	it("takes a container by its name alone, and a description in base64", () => {
		const config = { ...avc, container: "legacy", description: "AULADf/h" };
		const rendition = parse({ video: { renditions: { v: config } } }).video.get("v");
		expect(rendition?.container).toEqual({ kind: "legacy" });
		expect(rendition?.description).toEqual(new Uint8Array([1, 66, 192, 13, 255, 225]));
	});

	it("reads again only what a patch has changed", () => {
		const reader = new CatalogReader();
		const renditions = { a: { ...avc, description: "00".repeat(200_000) }, b: avc };
		const first = reader.frame(0, 0, bytes(JSON.stringify({ video: { renditions } })));
		const second = reader.frame(0, 1, bytes(JSON.stringify({ video: { renditions: { b: { bitrate: 5 } } } })));
		expect(second?.video.get("a")).toBe(first?.video.get("a"));
		expect(second?.video.get("b")).toMatchObject({ bitrate: 5 });
	});

	it("refuses an object with more members than a patch may copy", () => {
		const many = Object.fromEntries(Array.from({ length: 1025 }, (_, i) => [`x${i}`, 1]));
		expect(() => parse(many)).toThrow(JsonError);
	});

	it("treats __proto__ and constructor as ordinary names", () => {
		const hostile = `{"__proto__":{"polluted":1},"video":{"renditions":{"__proto__":{"codec":"vp8"},"constructor":{"codec":"vp8"}}}}`;
		const catalog = parseCatalog(mergePatch(undefined, parseJsonObject(bytes(hostile))));
		expect([...catalog.video.keys()]).toEqual(["__proto__", "constructor"]);
		expect(({} as Record<string, unknown>).polluted).toBeUndefined();
		const reader = new CatalogReader();
		reader.frame(0, 0, bytes("{}"));
		reader.frame(0, 1, bytes(`{"__proto__":{"polluted":1},"a":{"__proto__":{"polluted":1}}}`));
		expect(({} as Record<string, unknown>).polluted).toBeUndefined();
	});

	it("keeps a decoder over a republish that only refines metadata", () => {
		const one = (config: object) => {
			const rendition = parse({ video: { renditions: { v: config } } }).video.get("v");
			if (!rendition) throw new Error("rendition was rejected");
			return rendition;
		};
		expect(
			sameDecoder(one(avc), one({ ...avc, bitrate: 5, jitter: 40, label: "x", codedWidth: 640, codedHeight: 360 })),
		).toBe(true);
		for (const change of [
			{ codec: "vp8" },
			{ description: "01" },
			{ container: { kind: "loc" } },
			{ broadcast: "../x" },
		])
			expect(sameDecoder(one(avc), one({ ...avc, ...change }))).toBe(false);
	});
});

describe("catalog track", () => {
	const videoNames = (reader: CatalogReader, sequence: number, index: number, document: unknown) => {
		const catalog = reader.frame(sequence, index, bytes(JSON.stringify(document)));
		return catalog && [...catalog.video.keys()];
	};

	it("applies merge patches inside a group and replaces everything at the next", () => {
		const reader = new CatalogReader();
		expect(videoNames(reader, 4, 0, { video: { renditions: { a: avc } } })).toEqual(["a"]);
		expect(videoNames(reader, 4, 1, { video: { renditions: { b: avc } } })).toEqual(["a", "b"]);
		expect(videoNames(reader, 4, 2, { video: { renditions: { a: null } } })).toEqual(["b"]);
		expect(videoNames(reader, 9, 0, { video: { renditions: { c: avc } } })).toEqual(["c"]);
	});

	it("ignores late groups and groups whose start was lost", () => {
		const reader = new CatalogReader();
		expect(videoNames(reader, 5, 0, {})).toEqual([]);
		expect(videoNames(reader, 4, 0, { video: { renditions: { a: avc } } })).toBeUndefined();
		expect(videoNames(reader, 6, 1, { video: { renditions: { a: avc } } })).toBeUndefined();
		expect(videoNames(reader, 7, 0, { video: { renditions: { z: avc } } })).toEqual(["z"]);
	});

	it("throws on a bad document once, ignores the rest of its group, and recovers at the next", () => {
		const reader = new CatalogReader();
		for (const bad of ["[]", "{", "null", `${'{"a":'.repeat(40)}1${"}".repeat(40)}`])
			expect(() => new CatalogReader().frame(0, 0, bytes(bad)), bad).toThrow(JsonError);
		expect(() => new CatalogReader().frame(0, 0, new Uint8Array([0xff, 0xfe]))).toThrow(JsonError);
		expect(() => reader.frame(1, 0, bytes("nope"))).toThrow(JsonError);
		expect(reader.frame(1, 1, bytes("{}"))).toBeUndefined();
		expect(reader.frame(2, 0, bytes("{}"))).toBeDefined();
		// An empty frame says nothing.
		expect(reader.frame(2, 1, bytes(""))).toBeUndefined();
		expect(reader.frame(2, 2, bytes("{}"))).toBeDefined();
	});

	it("bounds one frame, and what patches can add up to", () => {
		expect(() => new CatalogReader().frame(0, 0, new Uint8Array(MAX_CATALOG_BYTES + 1))).toThrow(CatalogError);
		const half = "x".repeat(MAX_CATALOG_BYTES / 2);
		const reader = new CatalogReader();
		reader.frame(0, 0, bytes(JSON.stringify({ a: half })));
		// Replacing a member does not grow the document, adding one does.
		expect(reader.frame(0, 1, bytes(JSON.stringify({ a: half })))).toBeDefined();
		expect(reader.frame(0, 2, bytes(JSON.stringify({ a: half })))).toBeDefined();
		// What was received is measured once for as many bytes as a document may have.
		expect(() => {
			for (let index = 3; index < 6; index++) reader.frame(0, index, bytes(JSON.stringify({ [`b${index}`]: half })));
		}).toThrow(CatalogError);
	});

	it("says of a track what it holds and nothing of how it travels", () => {
		const entry = { track: "v", codec: "avc1.42c01e", width: 640, height: 360, framerate: 30, bitrate: 900_000 };
		const text = new TextDecoder().decode(writeCatalog(entry));
		// The members of the published schema, in its order: no timescale, no cache, no packing, no order of groups.
		expect(text).toBe(
			'{"video":{"renditions":{"v":{"codec":"avc1.42c01e","container":{"kind":"legacy"},"codedWidth":640,' +
				'"codedHeight":360,"framerate":30,"bitrate":900000,"optimizeForLatency":true,"jitter":34}},' +
				'"display":{"width":640,"height":360},"rotation":0,"flip":false}}',
		);
	});

	it("writes what it reads", () => {
		const entry = { track: "video/hd", codec: "avc1.42c01e", width: 640, height: 360, framerate: 30, bitrate: 900_000 };
		const rendition = new CatalogReader().frame(0, 0, writeCatalog(entry))?.video.get("video/hd");
		expect(rendition).toMatchObject({
			codec: "avc1.42c01e",
			container: { kind: "legacy" },
			codedWidth: 640,
			codedHeight: 360,
			framerate: 30,
			bitrate: 900_000,
			jitterMs: 34,
		} satisfies Partial<JsonObject>);
	});
});
