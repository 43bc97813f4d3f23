/** Reads the packed commands of one poll and hands them out. The format is `wasm/bindings/src/command.rs`. */

import type { ErrorData } from "../protocol/error.ts";
import type { AnnounceEvent } from "../protocol/model.ts";
import { BATCH_HEADER_BYTES, RECORD_BYTES as BATCH_RECORD_BYTES } from "../rpc/batch.ts";
import type { AnnounceListener, Sink } from "./api.ts";
import type { Memory } from "./memory.ts";
import type { Outcome } from "./operation.ts";
import type { TransportOutput } from "./transport.ts";

/** Bytes of one command. */
const RECORD_BYTES = 32;

const Op = {
	openUni: 1,
	openBi: 2,
	write: 3,
	finish: 4,
	reset: 5,
	stop: 6,
	priority: 7,
	resume: 8,
	datagram: 9,
	close: 10,
	deliver: 11,
	pieces: 12,
	end: 13,
	announce: 14,
	settle: 15,
} as const;

const EVENTS: readonly AnnounceEvent[] = ["active", "restart", "ended"];

/** Who gets what. Nothing here may throw: a failure of one receiver must not cost the others their commands. */
export interface Receivers {
	transport(session: number): TransportOutput | undefined;
	sink(reader: number): Sink | undefined;
	listener(handle: number): AnnounceListener | undefined;
	/** The reader or listener got its last word. */
	ended(handle: number): void;
	settle(operation: number, outcome: Outcome): void;
}

/** Writes in a row for one stream, gathered into one: streams cost per write, and some engines hold small ones back. */
interface Gathered {
	session: number;
	stream: number;
	/** Pointer and length in turn. */
	pieces: number[];
	bytes: number;
}

/** One drain. Callbacks may call the core; payloads stay until the caller says they were drained. */
export class Drain {
	readonly #memory: Memory;
	readonly #to: Receivers;
	#gathered: Gathered | undefined;

	constructor(memory: Memory, to: Receivers) {
		this.#memory = memory;
		this.#to = to;
	}

	run(pointer: number, length: number): void {
		for (let at = pointer; at < pointer + length; at += RECORD_BYTES) {
			const { view } = this.#memory;
			const op = view.getUint32(at, true);
			const a = view.getUint32(at + 4, true);
			const b = view.getFloat64(at + 8, true);
			const c = view.getFloat64(at + 16, true);
			const data = view.getUint32(at + 24, true);
			const size = view.getUint32(at + 28, true);
			if (op === Op.write) {
				this.#gather(b, c, data, size);
				continue;
			}
			this.#flush();
			if (op === Op.deliver) {
				// The record after it is the table of its payload pieces.
				at += RECORD_BYTES;
				this.#deliver(b, a, c, data, size, at);
			} else this.#dispatch(op, a, b, c, data, size);
		}
		this.#flush();
	}

	#dispatch(op: number, a: number, b: number, c: number, data: number, size: number): void {
		if (op <= Op.close) {
			// A session that has just ended is nobody's to tell anything.
			const transport = this.#to.transport(b);
			if (transport) this.#ask(transport, op, a, c, data, size);
			return;
		}
		switch (op) {
			case Op.end:
				this.#end(b, this.#error(data, size));
				break;
			case Op.announce:
				this.#announce(b, a, c, this.#memory.text(data, size));
				break;
			case Op.settle:
				this.#to.settle(b, this.#outcome(a, c, data, size));
				break;
			default:
				throw new Error(`unknown command ${op}`);
		}
	}

	#ask(transport: TransportOutput, op: number, a: number, stream: number, data: number, size: number): void {
		switch (op) {
			case Op.openUni:
				transport.open(stream, false);
				break;
			case Op.openBi:
				transport.open(stream, true);
				break;
			case Op.finish:
				transport.finish(stream);
				break;
			case Op.reset:
				transport.reset(stream, a);
				break;
			case Op.stop:
				transport.stop(stream, a);
				break;
			case Op.priority:
				// Packed as unsigned; send orders go below zero.
				transport.priority(stream, a | 0);
				break;
			case Op.resume:
				transport.resume(stream);
				break;
			case Op.datagram:
				transport.datagram(this.#memory.copy(data, size));
				break;
			case Op.close:
				transport.close(a, this.#memory.text(data, size));
				break;
			default:
				throw new Error(`unknown command ${op}`);
		}
	}

	#gather(session: number, stream: number, pointer: number, length: number): void {
		if (this.#gathered?.stream !== stream) this.#flush();
		this.#gathered ??= { session, stream, pieces: [], bytes: 0 };
		this.#gathered.pieces.push(pointer, length);
		this.#gathered.bytes += length;
	}

	#flush(): void {
		const gathered = this.#gathered;
		if (!gathered) return;
		this.#gathered = undefined;
		const transport = this.#to.transport(gathered.session);
		if (!transport) return;
		const out = new Uint8Array(gathered.bytes);
		const { bytes } = this.#memory;
		let at = 0;
		for (let index = 0; index < gathered.pieces.length; index += 2) {
			const pointer = gathered.pieces[index] as number;
			const length = gathered.pieces[index + 1] as number;
			out.set(bytes.subarray(pointer, pointer + length), at);
			at += length;
		}
		transport.write(gathered.stream, out);
	}

	#deliver(reader: number, frames: number, credit: number, records: number, size: number, table: number): void {
		const sink = this.#to.sink(reader);
		if (!sink) return;
		const { bytes, view } = this.#memory;
		// More than the credit when errors came along, which are free.
		const payload = view.getFloat64(table + 16, true);
		const buffer = new ArrayBuffer(BATCH_HEADER_BYTES + size + payload);
		const out = new Uint8Array(buffer);
		new DataView(buffer).setUint32(0, size / BATCH_RECORD_BYTES, true);
		out.set(bytes.subarray(records, records + size), BATCH_HEADER_BYTES);
		let at = BATCH_HEADER_BYTES + size;
		const pieces = view.getUint32(table + 24, true);
		const count = view.getUint32(table + 28, true);
		for (let piece = pieces; piece < pieces + count * 8; piece += 8) {
			const pointer = view.getUint32(piece, true);
			const length = view.getUint32(piece + 4, true);
			out.set(bytes.subarray(pointer, pointer + length), at);
			at += length;
		}
		sink.batch(buffer, frames, credit);
	}

	#end(handle: number, error: ErrorData | undefined): void {
		const sink = this.#to.sink(handle);
		const listener = this.#to.listener(handle);
		// No longer known before it is told: whatever it does in response, it hears nothing more.
		this.#to.ended(handle);
		sink?.end(error);
		listener?.end();
	}

	#announce(listener: number, event: number, broadcast: number, json: string): void {
		const { path, hops } = JSON.parse(json) as { path: string; hops: string[] };
		this.#to.listener(listener)?.event({
			path,
			hops,
			event: EVENTS[event] as AnnounceEvent,
			...(broadcast === 0 ? {} : { broadcast }),
		});
	}

	#outcome(status: number, handle: number, data: number, size: number): Outcome {
		switch (status) {
			case 0:
				return { type: "done" };
			case 1:
				return { type: "handle", handle };
			case 2:
				return { type: "json", text: this.#memory.text(data, size) };
			default:
				return { type: "error", error: JSON.parse(this.#memory.text(data, size)) as ErrorData };
		}
	}

	#error(data: number, size: number): ErrorData | undefined {
		return size === 0 ? undefined : (JSON.parse(this.#memory.text(data, size)) as ErrorData);
	}
}
