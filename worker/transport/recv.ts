/** Reads one stream into the core and stops when the core has enough of it. */

import type { TransportInput } from "../core/transport.ts";
import { isSessionFailure, streamCode, streamReason } from "./failure.ts";

/** Longest piece the core takes at once. */
const CHUNK_BYTES = 64 * 1024;

/**
 * Bytes after which a stream is long enough for reads into a buffer of our own: they cost less per byte there, but an
 * allocation each time, which short streams never earn back.
 */
const BYOB_AFTER_BYTES = 256 * 1024;

/** What the pump needs to know of a stream that ended. */
export interface ReceiverEnd {
	/** The session failed under the stream. */
	sessionFailed(error: unknown): void;
	/** The stream is over, in whatever way. */
	receiverDone(stream: number): void;
}

/** One receiving half. */
export class Receiver {
	readonly #stream: number;
	readonly #readable: ReadableStream<Uint8Array>;
	readonly #input: TransportInput;
	readonly #end: ReceiverEnd;
	#reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
	#byob: ReadableStreamBYOBReader | undefined;
	#spare = new ArrayBuffer(0);
	#received = 0;
	#stopped = false;
	#resume: (() => void) | undefined;

	constructor(stream: number, readable: ReadableStream<Uint8Array>, input: TransportInput, end: ReceiverEnd) {
		this.#stream = stream;
		this.#readable = readable;
		this.#input = input;
		this.#end = end;
		this.#reader = readable.getReader();
		void this.#run();
	}

	/** The core made room. */
	resume(): void {
		const resume = this.#resume;
		this.#resume = undefined;
		resume?.();
	}

	/** The core wants no more: tell the peer. */
	stop(code: number): void {
		if (this.#stopped) return;
		this.#stopped = true;
		const reader = this.#byob ?? this.#reader;
		// Cancelling a stream that has just ended or failed rejects; there is nobody left to tell.
		reader?.cancel(streamReason(code)).catch(ignore);
		this.resume();
	}

	async #run(): Promise<void> {
		try {
			while (!this.#stopped) {
				const { done, value } = await this.#read();
				if (this.#stopped) break;
				const more = this.#deliver(value, done);
				if (done) break;
				if (!more) await new Promise<void>((resolve) => (this.#resume = resolve));
			}
		} catch (error) {
			if (!this.#stopped) this.#failed(error);
		}
		this.#end.receiverDone(this.#stream);
	}

	#failed(error: unknown): void {
		if (isSessionFailure(error)) this.#end.sessionFailed(error);
		else this.#input.resetByPeer(this.#stream, streamCode(error));
	}

	/** False: wait for `resume`. */
	#deliver(value: Uint8Array | undefined, done: boolean): boolean {
		if (done) return this.#input.received(this.#stream, EMPTY, true);
		if (value === undefined) return true;
		this.#received += value.byteLength;
		let more = true;
		for (let at = 0; at < value.byteLength; at += CHUNK_BYTES) {
			more = this.#input.received(this.#stream, value.subarray(at, at + CHUNK_BYTES), false);
		}
		// The core has copied it: the buffer can serve the next read.
		if (this.#byob) this.#spare = value.buffer as ArrayBuffer;
		return more;
	}

	async #read(): Promise<ReadableStreamReadResult<Uint8Array>> {
		if (this.#received >= BYOB_AFTER_BYTES && this.#reader) this.#upgrade(this.#reader);
		if (!this.#byob) return (this.#reader as ReadableStreamDefaultReader<Uint8Array>).read();
		const buffer = this.#spare.byteLength > 0 ? this.#spare : new ArrayBuffer(CHUNK_BYTES);
		const result = await this.#byob.read(new Uint8Array(buffer));
		// A cancelled stream ends without a value.
		return result.done ? { done: true, value: undefined } : result;
	}

	/** Change to a reader with a buffer of ours where the stream can; no read is under way here. */
	#upgrade(reader: ReadableStreamDefaultReader<Uint8Array>): void {
		reader.releaseLock();
		this.#reader = undefined;
		try {
			this.#byob = this.#readable.getReader({ mode: "byob" });
		} catch {
			// Not a byte stream (the WebSocket fallback): go on as before and do not ask again.
			this.#received = Number.NEGATIVE_INFINITY;
			this.#reader = this.#readable.getReader();
		}
	}
}

const EMPTY = new Uint8Array(0);

function ignore(): void {}
