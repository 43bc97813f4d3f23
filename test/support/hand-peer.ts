/** A peer written by hand: it sees the streams the core opens and sends what a test tells it to. */

import type { OpenTransport, TransportInput, TransportOutput } from "../../worker/core/transport.ts";

/** One end of a session whose other end is a real core. */
export class HandPeer implements TransportInput {
	/** First bytes of each stream the core opened, by the number this peer gave it. */
	readonly streams = new Map<number, number[]>();
	ended: { code?: number; reason: string } | undefined;
	readonly #out: TransportOutput;
	#next = 1;
	#waiting: (() => void)[] = [];

	constructor(transport: OpenTransport) {
		this.#out = transport.start(this);
	}

	/** Open a stream in both directions, send these bytes on it and finish. */
	send(bytes: number[]): void {
		const stream = this.#next++;
		this.#out.open(stream, true);
		this.#out.write(stream, Uint8Array.from(bytes));
		this.#out.finish(stream);
	}

	/** Send on a stream the core opened. */
	answer(stream: number, bytes: number[]): void {
		this.#out.write(stream, Uint8Array.from(bytes));
	}

	/** The stream that begins with this byte, once there is one. */
	async stream(type: number): Promise<number> {
		for (;;) {
			for (const [stream, bytes] of this.streams) if (bytes[0] === type) return stream;
			await new Promise<void>((resolve) => this.#waiting.push(resolve));
		}
	}

	/** Waits for the end of the session. */
	async end(): Promise<void> {
		while (!this.ended) await new Promise<void>((resolve) => this.#waiting.push(resolve));
	}

	/** End the session. */
	close(code: number, reason: string): void {
		this.#out.close(code, reason);
	}

	accepted(): number {
		const stream = this.#next++;
		this.streams.set(stream, []);
		return stream;
	}

	received(stream: number, bytes: Uint8Array): boolean {
		this.streams.get(stream)?.push(...bytes);
		this.#changed();
		return true;
	}

	closed(code: number, reason: string): void {
		this.ended = { code, reason };
		this.#changed();
	}

	failed(reason: string): void {
		this.ended = { reason };
		this.#changed();
	}

	// What becomes of its own streams is of no interest here.
	opened(): void {}
	openFailed(): void {}
	resetByPeer(): void {}
	written(): void {}
	sendClosed(): void {}
	stoppedByPeer(): void {}
	datagram(): void {}

	#changed(): void {
		const waiting = this.#waiting;
		this.#waiting = [];
		for (const wake of waiting) wake();
	}
}
