import { type Box, boxAt, boxesIn, Fields } from "./boxes.ts";
import { type CmafInit, parseCmafInit, type SampleDefaults } from "./cmaf-init.ts";
import { ContainerError, type Demuxer, type Sample, ticksToUs } from "./container.ts";

/** `sample_is_non_sync_sample` of ISO/IEC 14496-12 §8.8.3.1. */
const NON_SYNC = 0x0001_0000;

/** Most samples accepted in one fragment: a minute of 1000 fps; a trun entry can be empty, so its box's size bounds nothing. */
const MAX_SAMPLES = 65_536;

/** Container `cmaf`: each frame is one `moof` + `mdat` for the single track that `init` describes. Edit lists are ignored, as peers do. */
export class CmafDemuxer implements Demuxer {
	readonly #init: CmafInit;

	/** @throws {ContainerError} when the init segment is malformed. */
	constructor(init: Uint8Array<ArrayBuffer>) {
		this.#init = parseCmafInit(init);
	}

	get description(): Uint8Array<ArrayBuffer> | undefined {
		return this.#init.description;
	}

	samples(frame: Uint8Array<ArrayBuffer>): Sample[] {
		// Two pairs of boxes in one frame would be against the container's rules, but reading them all costs nothing.
		return boxesIn(frame)
			.filter((box) => box.type === "moof")
			.flatMap((moof) => this.#fragment(frame, moof));
	}

	#fragment(frame: Uint8Array<ArrayBuffer>, moof: Box): Sample[] {
		const trafs = boxesIn(moof.body).filter((box) => box.type === "traf");
		return trafs.flatMap((traf) => {
			const header = readTrackHeader(boxAt(traf.body, "tfhd"), this.#init.defaults);
			if (header.trackId !== this.#init.trackId) return [];
			const run: Run = {
				frame,
				base: moof.start,
				offset: firstPayload(frame, moof),
				decodeTime: readDecodeTime(boxAt(traf.body, "tfdt")),
				timescale: this.#init.timescale,
				defaults: header.defaults,
				samples: [],
			};
			for (const trun of boxesIn(traf.body)) if (trun.type === "trun") readRun(trun, run);
			return run.samples;
		});
	}
}

/** Where reading a fragment's runs has got to: a run without its own data offset continues behind the one before. */
interface Run {
	readonly frame: Uint8Array<ArrayBuffer>;
	readonly base: number;
	offset: number;
	decodeTime: number;
	readonly timescale: number;
	readonly defaults: SampleDefaults;
	readonly samples: Sample[];
}

function readTrackHeader(tfhd: Box, trex: SampleDefaults): { trackId: number; defaults: SampleDefaults } {
	const fields = new Fields(tfhd.body);
	const { flags } = fields.version();
	const trackId = fields.u32();
	// base-data-offset is where the moof was in a file; in a frame that stands alone that is the moof's start.
	if (flags & 0x01) fields.skip(8);
	if (flags & 0x02) fields.skip(4); // sample_description_index
	const duration = flags & 0x08 ? fields.u32() : trex.duration;
	const size = flags & 0x10 ? fields.u32() : trex.size;
	const sampleFlags = flags & 0x20 ? fields.u32() : trex.flags;
	return { trackId, defaults: { duration, size, flags: sampleFlags } };
}

function readDecodeTime(tfdt: Box): number {
	const fields = new Fields(tfdt.body);
	return fields.version().version === 1 ? fields.u64() : fields.u32();
}

/** Where the payload starts when no run says so: the first `mdat` behind the `moof`. */
function firstPayload(frame: Uint8Array<ArrayBuffer>, moof: Box): number {
	const mdat = boxesIn(frame).find((box) => box.type === "mdat" && box.start >= moof.end);
	if (!mdat) throw new ContainerError("fragment without mdat");
	return mdat.end - mdat.body.length;
}

function readRun(trun: Box, run: Run): void {
	const fields = new Fields(trun.body);
	const { version, flags } = fields.version();
	const count = fields.u32();
	if (count > MAX_SAMPLES - run.samples.length)
		throw new ContainerError(`fragment with more than ${MAX_SAMPLES} samples`);
	if (flags & 0x01) run.offset = run.base + fields.i32();
	const firstFlags = flags & 0x04 ? fields.u32() : undefined;
	for (let i = 0; i < count; i++) {
		const duration = flags & 0x100 ? fields.u32() : run.defaults.duration;
		const size = flags & 0x200 ? fields.u32() : run.defaults.size;
		const entryFlags = flags & 0x400 ? fields.u32() : undefined;
		const sampleFlags = entryFlags ?? (i === 0 ? firstFlags : undefined) ?? run.defaults.flags;
		const shift = flags & 0x800 ? (version === 0 ? fields.u32() : fields.i32()) : 0;
		const end = run.offset + size;
		if (run.offset < 0 || end > run.frame.length) throw new ContainerError("sample outside its frame");
		const durationUs = duration && ticksToUs(duration, run.timescale);
		// An empty payload is a marker in every container, never something to decode.
		if (size > 0)
			run.samples.push({
				// From the tick value each time: adding up rounded microseconds would drift.
				timestampUs: ticksToUs(run.decodeTime + shift, run.timescale),
				...(durationUs && { durationUs }),
				isKey: (sampleFlags & NON_SYNC) === 0,
				data: run.frame.subarray(run.offset, end),
			});
		run.decodeTime += duration;
		run.offset = end;
	}
}
