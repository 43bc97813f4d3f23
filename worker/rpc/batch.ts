/**
 * A batch of frames: one ArrayBuffer that carries everything one subscription had to say in one turn of the core.
 *
 * Little endian: u32 record count, u32 zero, then that many 32-byte records, then the payloads back to back in the
 * order of the records that have one. A record is u8 type, u8 flags (zero), u16 zero, u32 gid, f64 b, f64 c, f64 d.
 */

import type { GapReason } from "../protocol/model.ts";

/** Bytes before the first record. */
export const BATCH_HEADER_BYTES = 8;
/** Bytes of one record. */
export const RECORD_BYTES = 32;

/** Values of a record's type byte. */
export const RecordType = {
	/** A group starts. b = sequence, c = timescale in units per second (0: untimed), d = index of its first frame here. */
	group: 1,
	/** A whole frame. b = timestamp in timescale units (NaN: none), c = payload bytes. */
	frame: 2,
	/** The group is complete. b = total number of frames in it. */
	groupEnd: 3,
	/** The group failed; nothing more of it follows. c = payload bytes: UTF-8 JSON of an ErrorData. */
	groupError: 4,
	/**
	 * No further group will start, while those already open may still go on. b = the sequence after the last group (NaN:
	 * unknown). c = payload bytes: 0 for a finished track, otherwise UTF-8 JSON of the ErrorData that ended it.
	 */
	trackEnd: 5,
	/** A datagram. b = timestamp (NaN: none), c = payload bytes, d = sequence. */
	datagram: 6,
	/**
	 * Groups that a read in order does not give out; in its place between the groups around it. b = first sequence, c = reason by its
	 * place in {@link GAP_REASONS} (there is no payload), d = last sequence. Costs as much credit as a group.
	 */
	gap: 7,
} as const;

/** Reasons of a gap by their number in a record. */
export const GAP_REASONS: readonly GapReason[] = [
	"late",
	"reset",
	"declared",
	"jump",
	"full",
	"expired",
	"ended",
	"refused",
];

/** Records by index, for a reader that keeps frames where they arrived and looks at them later, or never. */
export class Batch {
	readonly buffer: ArrayBuffer;
	/** Number of records. */
	readonly count: number;
	readonly #view: DataView;

	/** @throws RangeError when the buffer is shorter than its header says. */
	constructor(buffer: ArrayBuffer) {
		this.buffer = buffer;
		this.#view = new DataView(buffer);
		this.count = this.#view.getUint32(0, true);
		if (this.payloads > buffer.byteLength) throw new RangeError("a batch is shorter than its records");
	}

	/** Where the payload of the first record that has one begins. */
	get payloads(): number {
		return BATCH_HEADER_BYTES + this.count * RECORD_BYTES;
	}

	/** The reason of a gap. */
	reason(index: number): GapReason {
		const reason = GAP_REASONS[this.c(index)];
		if (!reason) throw new RangeError(`batch record ${index} has an unknown reason`);
		return reason;
	}

	/** One of {@link RecordType}. */
	type(index: number): number {
		return this.#view.getUint8(BATCH_HEADER_BYTES + index * RECORD_BYTES);
	}

	gid(index: number): number {
		return this.#view.getUint32(BATCH_HEADER_BYTES + index * RECORD_BYTES + 4, true);
	}

	/** The first number of a record: sequence, timestamp, count, or first sequence of a gap. */
	b(index: number): number {
		return this.#view.getFloat64(BATCH_HEADER_BYTES + index * RECORD_BYTES + 8, true);
	}

	/** The second: timescale, payload bytes, or the reason of a gap. */
	c(index: number): number {
		return this.#view.getFloat64(BATCH_HEADER_BYTES + index * RECORD_BYTES + 16, true);
	}

	/** The third: index of a group's first frame, sequence of a datagram, or last sequence of a gap. */
	d(index: number): number {
		return this.#view.getFloat64(BATCH_HEADER_BYTES + index * RECORD_BYTES + 24, true);
	}
}

/** One record of a batch. `gid` names a group inside its subscription only; for a fetched group it is 0. */
export type BatchRecord =
	| { type: "group"; gid: number; sequence: number; timescale: number; firstFrame: number }
	| { type: "frame"; gid: number; timestamp: number | undefined; data: Uint8Array<ArrayBuffer> }
	| { type: "groupEnd"; gid: number; frames: number }
	| { type: "groupError"; gid: number; error: Uint8Array<ArrayBuffer> }
	| { type: "trackEnd"; error: Uint8Array<ArrayBuffer> | undefined }
	| { type: "datagram"; sequence: number; timestamp: number | undefined; data: Uint8Array<ArrayBuffer> }
	| { type: "gap"; from: number; to: number; reason: GapReason };

/**
 * Walk a batch in order. Payloads are views into `buffer`, made one at a time as they are reached.
 * @throws RangeError when the buffer is shorter than its records say.
 */
export function* readBatch(buffer: ArrayBuffer): Generator<BatchRecord, void, undefined> {
	const batch = new Batch(buffer);
	let payload = batch.payloads;
	/** The payload of a record that has one. */
	const bytes = (index: number) => {
		const view = new Uint8Array(buffer, payload, batch.c(index));
		payload += view.byteLength;
		return view;
	};
	for (let index = 0; index < batch.count; index++) {
		const gid = batch.gid(index);
		const b = batch.b(index);
		const timestamp = Number.isNaN(b) ? undefined : b;
		switch (batch.type(index)) {
			case RecordType.group:
				yield { type: "group", gid, sequence: b, timescale: batch.c(index), firstFrame: batch.d(index) };
				break;
			case RecordType.frame:
				yield { type: "frame", gid, timestamp, data: bytes(index) };
				break;
			case RecordType.groupEnd:
				yield { type: "groupEnd", gid, frames: b };
				break;
			case RecordType.groupError:
				yield { type: "groupError", gid, error: bytes(index) };
				break;
			case RecordType.trackEnd:
				yield { type: "trackEnd", error: batch.c(index) > 0 ? bytes(index) : undefined };
				break;
			case RecordType.datagram:
				yield { type: "datagram", sequence: batch.d(index), timestamp, data: bytes(index) };
				break;
			case RecordType.gap:
				yield { type: "gap", from: b, to: batch.d(index), reason: batch.reason(index) };
				break;
			default:
				throw new RangeError(`batch record ${index} has an unknown type`);
		}
	}
}
