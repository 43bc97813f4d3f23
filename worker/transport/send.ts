/** Writes what the core asks for to one stream, and reports what the stream has taken. */

import type { TransportInput } from "../core/transport.ts";
import { isSessionFailure, streamCode, streamReason } from "./failure.ts";

/** What the pump needs to know of a stream that ended. */
export interface SenderEnd {
	/** The session failed under the stream. */
	sessionFailed(error: unknown): void;
	/** The stream is over, in whatever way. */
	senderDone(stream: number): void;
}

/** One sending half. */
export class Sender {
	readonly #stream: number;
	readonly #writable: WritableStream<Uint8Array>;
	readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
	readonly #input: TransportInput;
	readonly #end: SenderEnd;
	#over = false;
	#outstanding = 0;

	constructor(stream: number, writable: WritableStream<Uint8Array>, input: TransportInput, end: SenderEnd) {
		this.#stream = stream;
		this.#writable = writable;
		this.#writer = writable.getWriter();
		this.#input = input;
		this.#end = end;
		this.#writer.ready.catch(ignore);
		// Resolves when everything including the FIN is out, rejects when the peer stops the stream at any time.
		this.#writer.closed.then(
			() => this.#settle(() => input.sendClosed(stream)),
			(error: unknown) => this.#settle(() => this.#failed(error)),
		);
	}

	/** Bytes given to the stream that it has not taken yet. */
	get outstanding(): number {
		return this.#outstanding;
	}

	write(data: Uint8Array): void {
		if (this.#over) return;
		const size = data.byteLength;
		this.#outstanding += size;
		// A failed write fails `closed` as well, which reports it once.
		this.#writer.write(data).then(() => {
			this.#outstanding -= size;
			if (!this.#over) this.#input.written(this.#stream, size);
		}, ignore);
	}

	finish(): void {
		if (!this.#over) this.#writer.close().catch(ignore);
	}

	/** The core gave the stream up; it wants to hear nothing more of it. */
	reset(code: number): void {
		this.#settle(() => this.#writer.abort(streamReason(code)).catch(ignore));
	}

	priority(order: number): void {
		// Safari and Firefox have a settable send order on the stream; elsewhere the scheduler decides.
		if ("sendOrder" in this.#writable) this.#writable.sendOrder = order;
	}

	#failed(error: unknown): void {
		if (isSessionFailure(error)) this.#end.sessionFailed(error);
		else this.#input.stoppedByPeer(this.#stream, streamCode(error));
	}

	#settle(report: () => void): void {
		if (this.#over) return;
		this.#over = true;
		this.#outstanding = 0;
		report();
		this.#end.senderDone(this.#stream);
	}
}

function ignore(): void {}
