import { type Box, boxAt, boxesIn, Fields } from "./boxes.ts";
import { type CmafInit, parseCmafInit, type SampleDefaults } from "./cmaf-init.ts";
import { ContainerError, type Demuxer, type Sample, ticksToUs } from "./container.ts";

/** `sample_is_non_sync_sample` of ISO/IEC 14496-12 §8.8.3.1. */
const NON_SYNC = 0x0001_0000;

/** Most samples accepted in one frame: a minute of 1000 fps. Entries of a run can be empty, so the size of their box bounds nothing. */
const MAX_SAMPLES = 65_536;

/**
 * Container `cmaf`: each frame is one `moof` + `mdat` for the single track that `init` describes. Edit lists are ignored, as peers do.
 * Work and memory of a frame are bounded by its bytes.
 */
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
		const { defaults, trackId, timescale } = this.#init;
		// Several pairs of boxes in one frame are against the container's rules, but some packagers write them.
		const run: Run = { frame, base: 0, offset: 0, decodeTime: undefined, timescale, defaults, samples: [], entries: 0 };
		for (const { moof, payload } of fragmentsOf(frame)) {
			const trafs = boxesIn(moof.body).filter((box) => box.type === "traf");
			for (const traf of trafs) {
				const header = readTrackHeader(boxAt(traf.body, "tfhd"), defaults);
				// A fragment of one track is of ours, whatever number a packager gave it.
				if (header.trackId !== trackId && trafs.length > 1) continue;
				run.base = moof.start;
				run.offset = payload;
				run.defaults = header.defaults;
				readTrackFragment(traf, run);
			}
		}
		return run.samples;
	}
}

/** The fragments of a frame, each with the offset at which its payload starts when no run says so: in the first `mdat` behind it. */
function fragmentsOf(frame: Uint8Array<ArrayBuffer>): { moof: Box; payload: number }[] {
	const found: { moof: Box; payload: number }[] = [];
	let payload: number | undefined;
	for (const box of boxesIn(frame).reverse()) {
		if (box.type === "mdat") payload = box.end - box.body.length;
		if (box.type !== "moof") continue;
		if (payload === undefined) throw new ContainerError("fragment without mdat");
		found.push({ moof: box, payload });
	}
	return found.reverse();
}

function readTrackFragment(traf: Box, run: Run): void {
	const boxes = boxesIn(traf.body);
	const tfdt = boxes.find((box) => box.type === "tfdt");
	// Without a time of its own a fragment goes on where the one before ended.
	if (tfdt) run.decodeTime = readDecodeTime(tfdt);
	if (run.decodeTime === undefined) throw new ContainerError("no tfdt box");
	for (const box of boxes) if (box.type === "trun") run.decodeTime = readRun(box, run, run.decodeTime);
}

/** Where reading the runs of a frame has got to: a run without its own data offset continues behind the one before. */
interface Run {
	readonly frame: Uint8Array<ArrayBuffer>;
	base: number;
	offset: number;
	decodeTime: number | undefined;
	readonly timescale: number;
	defaults: SampleDefaults;
	readonly samples: Sample[];
	/** Entries of runs so far, empty ones included. */
	entries: number;
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

/** Reads one run that begins at `decodeTime`; returns where the next one does. */
function readRun(trun: Box, run: Run, decodeTime: number): number {
	const fields = new Fields(trun.body);
	const { flags } = fields.version();
	const count = fields.u32();
	run.entries += count;
	const limit = Math.min(MAX_SAMPLES, run.frame.length);
	if (run.entries > limit) throw new ContainerError(`frame with more than ${limit} samples`);
	if (flags & 0x01) run.offset = run.base + fields.i32();
	const firstFlags = flags & 0x04 ? fields.u32() : undefined;
	for (let i = 0; i < count; i++) {
		const duration = flags & 0x100 ? fields.u32() : run.defaults.duration;
		const size = flags & 0x200 ? fields.u32() : run.defaults.size;
		const entryFlags = flags & 0x400 ? fields.u32() : undefined;
		const sampleFlags = entryFlags ?? (i === 0 ? firstFlags : undefined) ?? run.defaults.flags;
		// Negative offsets are for version 1 only, but packagers write them in version 0 too; nobody means more than 2^31.
		const shift = flags & 0x800 ? fields.i32() : 0;
		const end = run.offset + size;
		if (run.offset < 0 || end > run.frame.length) throw new ContainerError("sample outside its frame");
		const durationUs = duration && ticksToUs(duration, run.timescale);
		// An empty payload is a marker in every container, never something to decode.
		if (size > 0)
			run.samples.push({
				// From the tick value each time: adding up rounded microseconds would drift.
				timestampUs: ticksToUs(decodeTime + shift, run.timescale),
				...(durationUs && { durationUs }),
				isKey: (sampleFlags & NON_SYNC) === 0,
				data: run.frame.subarray(run.offset, end),
			});
		decodeTime += duration;
		run.offset = end;
	}
	return decodeTime;
}
