import { fromBase64, fromHex } from "./hex.ts";
import { isPlain, type JsonObject, type JsonValue, objectAt } from "./json.ts";

/** Name of the track that carries the hang catalog as plain JSON. */
export const CATALOG_TRACK = "catalog.json";

/** Most renditions of all sections together; published importers refuse more as well. */
export const MAX_RENDITIONS = 64;

/** Largest accepted width or height, in pixels. */
const MAX_SIDE = 8192;

/** Longest accepted codec string; the longest registered forms have about 60 characters. */
const MAX_CODEC_LENGTH = 128;

/** How a rendition's frames are wrapped. `init` is one `ftyp` + `moov` for exactly one track. */
export type Container = { kind: "legacy" } | { kind: "loc" } | { kind: "cmaf"; init: Uint8Array<ArrayBuffer> };

/** What video and audio renditions have in common. */
export interface Rendition {
	/** Name of the track, and key of the rendition in its section. */
	readonly name: string;
	/** WebCodecs codec string. */
	readonly codec: string;
	readonly container: Container;
	/** Decoder configuration record. Absent: the parameters are in band. */
	readonly description?: Uint8Array<ArrayBuffer>;
	/** Peak or estimate, bit/s. */
	readonly bitrate?: number;
	/** Longest time between a frame being ready and being sent, ms; a published 0 means "unknown" and is absent here. */
	readonly jitterMs?: number;
	/** How far this rendition trails the publisher's earliest one, ms. */
	readonly delayMs?: number;
	/** Text for track pickers. Untrusted: never HTML. */
	readonly label?: string;
	/** The track lives in this broadcast, relative to the catalog's own. */
	readonly broadcast?: string;
	/** Everything the publisher said, unknown keys included. */
	readonly raw: JsonObject;
}

/** One entry of `video.renditions`. */
export interface VideoRendition extends Rendition {
	/** Pixels; a hint only, the stream may change size in band. */
	readonly codedWidth?: number;
	/** Pixels; a hint only. */
	readonly codedHeight?: number;
	/** Both aspect members are present or neither. */
	readonly displayAspectWidth?: number;
	readonly displayAspectHeight?: number;
	/** Frames per second. */
	readonly framerate?: number;
	/** Whether the decoder should give up compression for latency; publishers say nothing when they mean yes. */
	readonly optimizeForLatency: boolean;
	/** The publisher asks to avoid this rendition for now. */
	readonly stalled: boolean;
}

/** One entry of `audio.renditions`. */
export interface AudioRendition extends Rendition {
	/** Hz. */
	readonly sampleRate: number;
	readonly numberOfChannels: number;
}

/** A rendition that cannot be used, and why; it never affects the others. */
export interface RejectedRendition {
	readonly section: "video" | "audio";
	readonly name: string;
	readonly reason: string;
}

/** A hang catalog. Sections this player does not know stay in `raw`. */
export interface Catalog {
	readonly video: ReadonlyMap<string, VideoRendition>;
	readonly audio: ReadonlyMap<string, AudioRendition>;
	readonly rejected: readonly RejectedRendition[];
	/** Size to show the video at after rotation, pixels. */
	readonly display?: { readonly width: number; readonly height: number };
	/** Degrees clockwise, to the nearest quarter turn. */
	readonly rotation: 0 | 90 | 180 | 270;
	/** Mirror horizontally after the rotation. */
	readonly flip: boolean;
	readonly raw: JsonObject;
}

/** The catalog as a whole is not acceptable; what was known before stays valid. */
export class CatalogError extends Error {
	override readonly name = "CatalogError";
}

/**
 * Reads a hang catalog leniently: what is wrong with one rendition rejects that one only, what is unknown is kept. Renditions beyond
 * {@link MAX_RENDITIONS} are rejected.
 */
export function parseCatalog(raw: JsonObject): Catalog {
	const rejected: RejectedRendition[] = [];
	const videoEntries = renditionsOf(raw.video);
	const audioEntries = renditionsOf(raw.audio);
	let room = MAX_RENDITIONS;

	function collect<T>(
		section: "video" | "audio",
		entries: Entry[],
		parse: (entry: Entry) => T | string,
	): Map<string, T> {
		const good = new Map<string, T>();
		for (const entry of entries) {
			const parsed = room-- > 0 ? parse(entry) : `one of more than ${MAX_RENDITIONS} renditions`;
			if (typeof parsed === "string") rejected.push({ section, name: entry.name, reason: parsed });
			else good.set(entry.name, parsed);
		}
		return good;
	}

	const section = isPlain(raw.video) ? raw.video : undefined;
	const display = section && parseDisplay(objectAt(section, "display"));
	return {
		video: collect("video", videoEntries, knownVideo),
		audio: collect("audio", audioEntries, knownAudio),
		rejected,
		...(display && { display }),
		rotation: quarterTurn(section?.rotation),
		flip: section?.flip === true,
		raw,
	};
}

/** Whether two catalog entries of one track can share a decoder: a republished catalog that changes anything else rebuilds nothing. */
export function sameDecoder(a: Rendition, b: Rendition): boolean {
	return identity(a) === identity(b);
}

function identity({ name, codec, raw }: Rendition): string {
	const members = [raw.container, raw.description, raw.broadcast, raw.sampleRate, raw.numberOfChannels];
	return JSON.stringify([name, codec, ...members]);
}

interface Entry {
	name: string;
	config: JsonValue | undefined;
}

/** The entries of a section in any of the forms publishers have used: a map, a list of `{track, config}`, or one of those. */
function renditionsOf(section: JsonValue | undefined): Entry[] {
	if (Array.isArray(section)) return section.flatMap(legacyEntry);
	if (!isPlain(section)) return [];
	const renditions = objectAt(section, "renditions");
	if (renditions) return Object.keys(renditions).map((name) => ({ name, config: renditions[name] }));
	return legacyEntry(section);
}

function legacyEntry(item: JsonValue): Entry[] {
	const name = isPlain(item) ? objectAt(item, "track")?.name : undefined;
	return isPlain(item) && typeof name === "string" ? [{ name, config: item.config }] : [];
}

/** A patch leaves the objects alone that it does not change: what was read of those stays. */
function memo<T>(parse: (entry: Entry) => T): (entry: Entry) => T {
	const known = new WeakMap<JsonObject, { name: string; parsed: T }>();
	return (entry) => {
		const { name, config } = entry;
		if (!isPlain(config)) return parse(entry);
		let found = known.get(config);
		if (found?.name !== name) {
			found = { name, parsed: parse(entry) };
			known.set(config, found);
		}
		return found.parsed;
	};
}

const knownVideo = memo(parseVideo);
const knownAudio = memo(parseAudio);

function parseVideo({ name, config }: Entry): VideoRendition | string {
	const shared = parseShared(name, config);
	if (typeof shared === "string") return shared;
	const { raw } = shared;
	const codedWidth = wholeNumber(raw.codedWidth);
	const codedHeight = wholeNumber(raw.codedHeight);
	for (const side of [codedWidth, codedHeight])
		if (side !== undefined && side > MAX_SIDE) return `${side} pixels on one side, at most ${MAX_SIDE} are accepted`;
	const aspectWidth = wholeNumber(raw.displayAspectWidth) ?? wholeNumber(raw.displayRatioWidth);
	const aspectHeight = wholeNumber(raw.displayAspectHeight) ?? wholeNumber(raw.displayRatioHeight);
	const framerate = positive(raw.framerate);
	return {
		...shared,
		...(codedWidth && codedHeight && { codedWidth, codedHeight }),
		...(aspectWidth && aspectHeight && { displayAspectWidth: aspectWidth, displayAspectHeight: aspectHeight }),
		...(framerate && { framerate }),
		optimizeForLatency: raw.optimizeForLatency !== false,
		stalled: raw.stalled === true,
	};
}

function parseAudio({ name, config }: Entry): AudioRendition | string {
	const shared = parseShared(name, config);
	if (typeof shared === "string") return shared;
	const sampleRate = positive(shared.raw.sampleRate);
	const numberOfChannels = wholeNumber(shared.raw.numberOfChannels);
	if (!sampleRate) return "no sampleRate";
	if (!numberOfChannels) return "no numberOfChannels";
	return { ...shared, sampleRate, numberOfChannels };
}

function parseShared(name: string, config: JsonValue | undefined): Rendition | string {
	if (!isPlain(config)) return "not an object";
	const { codec } = config;
	if (typeof codec !== "string" || codec === "") return "no codec";
	if (codec.length > MAX_CODEC_LENGTH) return "codec string too long";
	const container = parseContainer(config.container);
	if (typeof container === "string") return container;
	const description = typeof config.description === "string" ? fromText(config.description) : undefined;
	if (config.description !== undefined && !description) return "description is neither hex nor base64";
	if (config.broadcast !== undefined && typeof config.broadcast !== "string") return "broadcast is not a path";
	const bitrate = positive(config.bitrate);
	const jitterMs = positive(config.jitter);
	const delayMs = positive(config.delay);
	return {
		name,
		codec,
		container,
		...(description?.length && { description }),
		...(bitrate && { bitrate }),
		...(jitterMs && { jitterMs }),
		...(delayMs && { delayMs }),
		...(typeof config.label === "string" && { label: config.label }),
		...(config.broadcast && { broadcast: config.broadcast }),
		raw: config,
	};
}

/** Bytes as publishers write them: hex, as the format says, or base64 with its padding. */
function fromText(text: string): Uint8Array<ArrayBuffer> | undefined {
	return fromHex(text) ?? (text.length >= 8 && text.length % 4 === 0 ? fromBase64(text) : undefined);
}

function parseContainer(value: JsonValue | undefined): Container | string {
	if (value === undefined) return { kind: "legacy" };
	if (typeof value === "string") return parseContainer({ kind: value });
	if (!isPlain(value)) return "container is not an object";
	switch (value.kind) {
		case "legacy":
		case "loc":
			return { kind: value.kind };
		case "cmaf": {
			// Without its init a cmaf track cannot be told apart from garbage; it is never read as something else.
			if (typeof value.init !== "string") return "cmaf container without init";
			const init = fromBase64(value.init);
			return init ? { kind: "cmaf", init } : "cmaf init is not base64";
		}
		default:
			return `unknown container ${JSON.stringify(value.kind ?? null)}`;
	}
}

function parseDisplay(value: JsonObject | undefined): { width: number; height: number } | undefined {
	const width = positive(value?.width);
	const height = positive(value?.height);
	return width && height && width <= MAX_SIDE && height <= MAX_SIDE ? { width, height } : undefined;
}

function quarterTurn(value: JsonValue | undefined): 0 | 90 | 180 | 270 {
	if (typeof value !== "number" || !Number.isFinite(value)) return 0;
	const turns = ((Math.round(value / 90) % 4) + 4) % 4;
	return ([0, 90, 180, 270] as const)[turns] ?? 0;
}

function positive(value: JsonValue | undefined): number | undefined {
	return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : undefined;
}

function wholeNumber(value: JsonValue | undefined): number | undefined {
	const number = positive(value);
	return number !== undefined && Number.isSafeInteger(number) ? number : undefined;
}
