import { type Catalog, CatalogError, parseCatalog } from "./catalog.ts";
import { type JsonObject, mergePatch, parseJsonObject } from "./json.ts";

/** Largest catalog document and largest catalog frame, bytes. */
export const MAX_CATALOG_BYTES = 1024 * 1024;

/**
 * The reader's side of a catalog track: frame 0 of a group is a whole document, later frames are RFC 7396 merge patches,
 * and only groups with a higher sequence than the one being read count.
 */
export class CatalogReader {
	#sequence = -1;
	#nextIndex = 0;
	#value: JsonObject | undefined;
	/** Bytes received for the document since it was last measured: so much it may be above its limit. */
	#unmeasured = 0;

	/**
	 * Takes one frame of the catalog track and returns the catalog it leads to, or `undefined` when the frame belongs to an
	 * old group or to one whose start was lost (the next group's first frame heals that).
	 *
	 * @throws {CatalogError | JsonError} when the document is not acceptable; the rest of that group is then ignored.
	 */
	frame(sequence: number, index: number, payload: Uint8Array): Catalog | undefined {
		if (sequence < this.#sequence) return undefined;
		if (sequence > this.#sequence) {
			this.#sequence = sequence;
			this.#nextIndex = 0;
			this.#value = undefined;
			this.#unmeasured = 0;
		}
		if (index !== this.#nextIndex) return undefined;
		// Set before anything can throw: a bad frame makes all later patches of its group meaningless.
		this.#nextIndex = -1;
		if (payload.byteLength > MAX_CATALOG_BYTES)
			throw new CatalogError(`catalog frame of ${payload.byteLength} bytes, at most ${MAX_CATALOG_BYTES} are accepted`);
		if (payload.byteLength === 0) {
			this.#nextIndex = index + 1;
			return undefined;
		}
		const value = mergePatch(this.#value, parseJsonObject(payload));
		this.#unmeasured += payload.byteLength;
		// Measured once for as many bytes as it may have, so that a small patch of a large document costs little.
		if (this.#unmeasured > MAX_CATALOG_BYTES) {
			this.#unmeasured = 0;
			if (new TextEncoder().encode(JSON.stringify(value)).byteLength > MAX_CATALOG_BYTES)
				throw new CatalogError("catalog grew beyond its limit by patches");
		}
		const catalog = parseCatalog(value);
		this.#value = value;
		this.#nextIndex = index + 1;
		return catalog;
	}
}

/** What a publisher says about one video track. */
export interface VideoEntry {
	/** Name of the track. */
	track: string;
	/** WebCodecs codec string, parameters in band. */
	codec: string;
	/** Pixels, even. */
	width: number;
	height: number;
	/** Frames per second. */
	framerate: number;
	/** Bit/s. */
	bitrate: number;
}

/** A catalog frame with one video rendition in the `legacy` container. Always a whole document: every update is a new group. */
export function writeCatalog(video: VideoEntry): Uint8Array<ArrayBuffer> {
	const { track, codec, width, height, framerate, bitrate } = video;
	const config = {
		codec,
		container: { kind: "legacy" },
		codedWidth: width,
		codedHeight: height,
		framerate,
		bitrate,
		optimizeForLatency: true,
		jitter: Math.ceil(1000 / framerate),
	};
	const document = { video: { renditions: { [track]: config }, display: { width, height }, rotation: 0, flip: false } };
	return new TextEncoder().encode(JSON.stringify(document));
}
