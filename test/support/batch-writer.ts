import type { ErrorData } from "../../worker/protocol/error.ts";
import type { GapReason } from "../../worker/protocol/model.ts";
import type { ReaderEvent } from "../../worker/protocol/port.ts";
import { BATCH_HEADER_BYTES, GAP_REASONS, RECORD_BYTES, RecordType } from "../../worker/rpc/batch.ts";

interface Entry {
	type: number;
	gid: number;
	b: number;
	c: number;
	d: number;
	payload: Uint8Array;
}

const NOTHING = new Uint8Array();

/** Writes a batch as the core does, counting the credit it takes. */
export class BatchWriter {
	readonly #entries: Entry[] = [];
	#frames = 0;
	#bytes = 0;

	group(gid: number, sequence: number, timescale = 0, firstFrame = 0): this {
		this.#frames++;
		return this.#add(RecordType.group, gid, sequence, timescale, firstFrame);
	}

	frame(gid: number, text: string, timestamp = Number.NaN): this {
		const payload = new TextEncoder().encode(text);
		this.#frames++;
		this.#bytes += payload.byteLength;
		return this.#add(RecordType.frame, gid, timestamp, payload.byteLength, 0, payload);
	}

	groupEnd(gid: number, frames: number): this {
		return this.#add(RecordType.groupEnd, gid, frames);
	}

	groupError(gid: number, error: ErrorData): this {
		const payload = new TextEncoder().encode(JSON.stringify(error));
		return this.#add(RecordType.groupError, gid, 0, payload.byteLength, 0, payload);
	}

	trackEnd(final: number, error?: ErrorData): this {
		const payload = error ? new TextEncoder().encode(JSON.stringify(error)) : NOTHING;
		return this.#add(RecordType.trackEnd, 0, final, payload.byteLength, 0, payload);
	}

	gap(from: number, to: number, reason: GapReason): this {
		this.#frames++;
		return this.#add(RecordType.gap, 0, from, GAP_REASONS.indexOf(reason), to);
	}

	/** Post it as one message. */
	send(port: MessagePort): void {
		const records = BATCH_HEADER_BYTES + this.#entries.length * RECORD_BYTES;
		const size = this.#entries.reduce((sum, { payload }) => sum + payload.byteLength, records);
		const buffer = new ArrayBuffer(size);
		const view = new DataView(buffer);
		view.setUint32(0, this.#entries.length, true);
		let at = records;
		this.#entries.forEach(({ type, gid, b, c, d, payload }, index) => {
			const record = BATCH_HEADER_BYTES + index * RECORD_BYTES;
			view.setUint8(record, type);
			view.setUint32(record + 4, gid, true);
			view.setFloat64(record + 8, b, true);
			view.setFloat64(record + 16, c, true);
			view.setFloat64(record + 24, d, true);
			new Uint8Array(buffer, at, payload.byteLength).set(payload);
			at += payload.byteLength;
		});
		const message: ReaderEvent = { type: "batch", buffer, frames: this.#frames, bytes: this.#bytes };
		port.postMessage(message, [buffer]);
	}

	#add(type: number, gid: number, b = 0, c = 0, d = 0, payload: Uint8Array = NOTHING): this {
		this.#entries.push({ type, gid, b, c, d, payload });
		return this;
	}
}
