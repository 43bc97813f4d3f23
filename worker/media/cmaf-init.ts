import { type Box, boxAt, boxesIn, Fields, findBox } from "./boxes.ts";
import { ContainerError } from "./container.ts";

/** Sample defaults of a track, the bottom of the fallback chain trun → tfhd → trex (ISO/IEC 14496-12 §8.8.3). */
export interface SampleDefaults {
	/** Ticks; 0 means unknown. */
	duration: number;
	/** Bytes. */
	size: number;
	flags: number;
}

/** What a player needs from the `ftyp` + `moov` of a single-track CMAF rendition. */
export interface CmafInit {
	readonly trackId: number;
	/** Ticks per second. */
	readonly timescale: number;
	/** Four characters of the sample entry, such as `avc1`. */
	readonly format: string;
	/** WebCodecs decoder description, where that codec has one. */
	readonly description?: Uint8Array<ArrayBuffer>;
	readonly defaults: SampleDefaults;
}

/** Configuration boxes that are a WebCodecs `description` as they are. `vpcC` is not one, and AV1 needs none in band. */
const DESCRIPTIONS = new Set(["avcC", "hvcC", "av1C"]);

/** Bytes of a visual or audio sample entry before its child boxes (ISO/IEC 14496-12 §12.1.3, §12.2.3). */
const VISUAL_ENTRY = 78;
const AUDIO_ENTRY = 28;

/**
 * Parses the init segment of one rendition.
 *
 * @throws {ContainerError} when it is malformed, encrypted, or holds several tracks and not one of them is video.
 */
export function parseCmafInit(init: Uint8Array<ArrayBuffer>): CmafInit {
	const moov = boxAt(init, "moov");
	const trak = trackOf(moov);
	const trackId = parseTrackId(boxAt(trak.body, "tkhd"));
	const timescale = parseTimescale(boxAt(trak.body, "mdia", "mdhd"));
	const entry = boxesIn(boxAt(trak.body, "mdia", "minf", "stbl", "stsd").body.subarray(8))[0];
	if (!entry) throw new ContainerError("init segment without a sample entry");
	if (entry.type.startsWith("enc")) throw new ContainerError(`encrypted (${entry.type}), which cannot be played`);
	const description = parseDescription(entry);
	return {
		trackId,
		timescale,
		format: entry.type,
		...(description && { description }),
		defaults: parseDefaults(moov, trackId),
	};
}

/** The only track, or the video among several. */
function trackOf(moov: Box): Box {
	const tracks = boxesIn(moov.body).filter((box) => box.type === "trak");
	const videos = tracks.filter((trak) => tracks.length === 1 || handlerOf(trak) === "vide");
	const [trak] = videos;
	if (!trak || videos.length > 1) throw new ContainerError(`init segment with ${tracks.length} tracks instead of one`);
	return trak;
}

/** `handler_type` of ISO/IEC 14496-12 §8.4.3. */
function handlerOf(trak: Box): string {
	const { body } = boxAt(trak.body, "mdia", "hdlr");
	return String.fromCharCode(...body.subarray(8, 12));
}

function parseTrackId(tkhd: Box): number {
	const fields = new Fields(tkhd.body);
	fields.skip(fields.version().version === 1 ? 16 : 8);
	return fields.u32();
}

function parseTimescale(mdhd: Box): number {
	const fields = new Fields(mdhd.body);
	fields.skip(fields.version().version === 1 ? 16 : 8);
	const timescale = fields.u32();
	if (timescale === 0) throw new ContainerError("timescale is zero");
	return timescale;
}

function parseDescription(entry: Box): Uint8Array<ArrayBuffer> | undefined {
	const isAudio = ["mp4a", "Opus", "fLaC"].includes(entry.type);
	const fixed = isAudio ? AUDIO_ENTRY : VISUAL_ENTRY;
	if (entry.body.length < fixed) throw new ContainerError(`${entry.type} sample entry cut off`);
	const children = boxesIn(entry.body.subarray(fixed), true);
	return children.find((box) => DESCRIPTIONS.has(box.type))?.body;
}

function parseDefaults(moov: Box, trackId: number): SampleDefaults {
	const none = { duration: 0, size: 0, flags: 0 };
	const mvex = findBox(moov.body, "mvex");
	if (!mvex) return none;
	for (const trex of boxesIn(mvex.body).filter((box) => box.type === "trex")) {
		const fields = new Fields(trex.body);
		fields.version();
		if (fields.u32() !== trackId) continue;
		fields.skip(4); // default_sample_description_index
		return { duration: fields.u32(), size: fields.u32(), flags: fields.u32() };
	}
	return none;
}
