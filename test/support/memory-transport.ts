/**
 * Two ends of a session in memory: real WHATWG streams with back-pressure, resets and codes, behind the same pump that
 * drives a browser's WebTransport. Nothing is simulated but the network.
 */

import type { OpenTransport } from "../../worker/core/transport.ts";
import type { BidirectionalLike, CloseInfo, DatagramsLike, WebTransportLike } from "../../worker/transport/like.ts";
import { openTransport } from "../../worker/transport/pump.ts";

/** Bytes a stream holds before its writer has to wait. */
const STREAM_BUFFER = 64 * 1024;

/** A failure as a browser reports it. */
class MemoryError extends Error {
	readonly source: "stream" | "session";
	readonly streamErrorCode: number | null;

	constructor(source: "stream" | "session", code: number | null) {
		super(`${source} failed in memory`);
		this.source = source;
		this.streamErrorCode = code;
	}
}

function codeOf(reason: unknown): number {
	const code = (reason as { streamErrorCode?: unknown } | undefined)?.streamErrorCode;
	return typeof code === "number" ? code : 0;
}

/** One direction of a stream: what is written comes out at the other end. */
class Pipe {
	readonly readable: ReadableStream<Uint8Array>;
	readonly writable: WritableStream<Uint8Array>;
	#source: ReadableByteStreamController | undefined;
	#sink: WritableStreamDefaultController | undefined;
	#pulled: (() => void) | undefined;
	#over = false;

	constructor() {
		this.readable = new ReadableStream(
			{
				type: "bytes",
				start: (controller) => {
					this.#source = controller;
				},
				pull: () => this.#pulled?.(),
				cancel: (reason) => {
					this.#over = true;
					this.#pulled?.();
					this.#sink?.error(new MemoryError("stream", codeOf(reason)));
				},
			},
			{ highWaterMark: STREAM_BUFFER },
		) as ReadableStream<Uint8Array>;
		this.writable = new WritableStream<Uint8Array>({
			start: (controller) => {
				this.#sink = controller;
			},
			write: (chunk) => this.#write(chunk),
			close: () => {
				this.#over = true;
				this.#source?.close();
				this.#source?.byobRequest?.respond(0);
			},
			abort: (reason) => {
				this.#over = true;
				this.#source?.error(new MemoryError("stream", codeOf(reason)));
			},
		});
	}

	/** The session is gone. */
	fail(error: MemoryError): void {
		this.#pulled?.();
		this.#sink?.error(error);
		// Erroring a stream that is closed or errored already throws; it has nothing left to lose.
		if (!this.#over) this.#source?.error(error);
		this.#over = true;
	}

	async #write(chunk: Uint8Array): Promise<void> {
		if (this.#over || chunk.byteLength === 0) return;
		// The bytes belong to the stream from here on, as in a browser.
		this.#source?.enqueue(chunk.slice());
		while (!this.#over && (this.#source?.desiredSize ?? 1) <= 0) {
			await new Promise<void>((resolve) => {
				this.#pulled = resolve;
			});
		}
	}
}

class MemorySession implements WebTransportLike {
	readonly ready = Promise.resolve();
	readonly protocol: string;
	readonly closed: Promise<CloseInfo>;
	readonly incomingUnidirectionalStreams: ReadableStream<ReadableStream<Uint8Array>>;
	readonly incomingBidirectionalStreams: ReadableStream<BidirectionalLike>;
	readonly datagrams: DatagramsLike;
	readonly #pipes = new Set<Pipe>();
	#peer: MemorySession | undefined;
	#uni: ReadableStreamDefaultController<ReadableStream<Uint8Array>> | undefined;
	#bidi: ReadableStreamDefaultController<BidirectionalLike> | undefined;
	#incoming: ReadableStreamDefaultController<Uint8Array> | undefined;
	#settle: { resolve(info: CloseInfo): void; reject(error: Error): void } | undefined;

	constructor(protocol: string) {
		this.protocol = protocol;
		this.closed = new Promise((resolve, reject) => {
			this.#settle = { resolve, reject };
		});
		this.closed.catch(() => {});
		this.incomingUnidirectionalStreams = new ReadableStream({
			start: (controller) => {
				this.#uni = controller;
			},
		});
		this.incomingBidirectionalStreams = new ReadableStream({
			start: (controller) => {
				this.#bidi = controller;
			},
		});
		this.datagrams = {
			maxDatagramSize: 1200,
			readable: new ReadableStream({
				start: (controller) => {
					this.#incoming = controller;
				},
			}),
			writable: new WritableStream({ write: (data) => this.#peer?.deliver(data) }),
		};
	}

	join(peer: MemorySession): void {
		this.#peer = peer;
	}

	/** A datagram from the peer. */
	deliver(data: Uint8Array): void {
		this.#incoming?.enqueue(data);
	}

	async createUnidirectionalStream(): Promise<WritableStream<Uint8Array>> {
		const peer = this.#connected();
		const pipe = this.#pipe(peer);
		peer.#uni?.enqueue(pipe.readable);
		return pipe.writable;
	}

	async createBidirectionalStream(): Promise<BidirectionalLike> {
		const peer = this.#connected();
		const [there, back] = [this.#pipe(peer), this.#pipe(peer)];
		peer.#bidi?.enqueue({ readable: there.readable, writable: back.writable });
		return { readable: back.readable, writable: there.writable };
	}

	close(info: CloseInfo = {}): void {
		const peer = this.#peer;
		if (!peer) return;
		this.#end((settle) => settle.resolve(info));
		peer.#end((settle) => settle.resolve(info));
	}

	/** The network went away under both ends. */
	lose(): void {
		const peer = this.#peer;
		this.#end((settle) => settle.reject(new MemoryError("session", null)));
		if (peer) peer.#end((settle) => settle.reject(new MemoryError("session", null)));
	}

	#connected(): MemorySession {
		if (!this.#peer) throw new MemoryError("session", null);
		return this.#peer;
	}

	#pipe(peer: MemorySession): Pipe {
		const pipe = new Pipe();
		this.#pipes.add(pipe);
		peer.#pipes.add(pipe);
		return pipe;
	}

	#end(settle: (settle: { resolve(info: CloseInfo): void; reject(error: Error): void }) => void): void {
		this.#peer = undefined;
		if (this.#settle) settle(this.#settle);
		const error = new MemoryError("session", null);
		for (const pipe of this.#pipes) pipe.fail(error);
		this.#pipes.clear();
		this.#uni?.error(error);
		this.#bidi?.error(error);
		this.#incoming?.error(error);
	}
}

/** Two open transports that lead to each other, and the network between them. */
export interface MemoryPair {
	left: OpenTransport;
	right: OpenTransport;
	/** Cut the connection without a word. */
	lose(): void;
}

/** Connect two ends that have agreed on `protocol` (empty: on nothing). */
export function memoryPair(protocol: string): MemoryPair {
	const left = new MemorySession(protocol);
	const right = new MemorySession(protocol);
	left.join(right);
	right.join(left);
	return {
		left: openTransport("webtransport", left),
		right: openTransport("webtransport", right),
		lose: () => left.lose(),
	};
}
