/** Moves the streams of one session between a WebTransport (or its likeness) and the core. */

import type { OpenTransport, TransportInput, TransportOutput } from "../core/transport.ts";
import { Datagrams, maxDatagramBytes } from "./datagrams.ts";
import { describe, streamReason } from "./failure.ts";
import type { WebTransportLike } from "./like.ts";
import { Receiver } from "./recv.ts";
import { Sender } from "./send.ts";

/** How long a close may wait for written bytes to leave, and again for the platform to confirm: some never do. */
const CLOSE_FLUSH_MS = 250;
const CLOSE_CONFIRM_MS = 750;

/** A stream whose opening is under way, with what was asked of it meanwhile. */
interface Opening {
	steps: (() => void)[];
	reset?: number;
	stop?: number;
}

/** Wrap a session that is ready. */
export function openTransport(kind: OpenTransport["kind"], session: WebTransportLike, lost?: string): OpenTransport {
	return {
		kind,
		// Undefined without browser support, empty when the server chose none: both mean "not negotiated".
		protocol: session.protocol ?? "",
		maxDatagramBytes: maxDatagramBytes(session.datagrams),
		...(lost === undefined ? {} : { lost }),
		start: (input) => new Pump(session, input),
		discard: () => session.close(),
	};
}

class Pump implements TransportOutput {
	readonly #session: WebTransportLike;
	readonly #input: TransportInput;
	readonly #receivers = new Map<number, Receiver>();
	readonly #senders = new Map<number, Sender>();
	readonly #opening = new Map<number, Opening>();
	readonly #datagrams: Datagrams;
	#over = false;
	#watch: ReturnType<typeof setTimeout> | undefined;
	#drained: (() => void) | undefined;

	constructor(session: WebTransportLike, input: TransportInput) {
		this.#session = session;
		this.#input = input;
		session.closed.then(
			({ closeCode, reason }) => this.#ended(() => input.closed(closeCode ?? 0, reason ?? "")),
			(error: unknown) => this.#ended(() => input.failed(describe(error))),
		);
		this.#datagrams = new Datagrams(session.datagrams, input);
		void this.#accept(session.incomingUnidirectionalStreams, (readable) => {
			const stream = input.accepted(false);
			if (stream === 0) refuse(readable);
			else this.#receive(stream, readable);
		});
		void this.#accept(session.incomingBidirectionalStreams, ({ readable, writable }) => {
			const stream = input.accepted(true);
			if (stream === 0) refuse(readable, writable);
			else {
				this.#receive(stream, readable);
				this.#send(stream, writable);
			}
		});
	}

	open(stream: number, bidirectional: boolean): void {
		const opening: Opening = { steps: [] };
		this.#opening.set(stream, opening);
		const opened = bidirectional
			? this.#session.createBidirectionalStream()
			: this.#session.createUnidirectionalStream();
		opened.then(
			(result) => this.#opened(stream, opening, result),
			(error: unknown) => {
				this.#opening.delete(stream);
				this.#input.openFailed(stream, describe(error));
			},
		);
	}

	write(stream: number, data: Uint8Array): void {
		this.#whenOpen(stream, () => this.#senders.get(stream)?.write(data));
	}

	finish(stream: number): void {
		this.#whenOpen(stream, () => this.#senders.get(stream)?.finish());
	}

	reset(stream: number, code: number): void {
		const opening = this.#opening.get(stream);
		if (opening) opening.reset = code;
		else this.#senders.get(stream)?.reset(code);
	}

	stop(stream: number, code: number): void {
		const opening = this.#opening.get(stream);
		if (opening) opening.stop = code;
		else this.#receivers.get(stream)?.stop(code);
	}

	priority(stream: number, order: number): void {
		this.#whenOpen(stream, () => this.#senders.get(stream)?.priority(order));
	}

	resume(stream: number): void {
		this.#receivers.get(stream)?.resume();
	}

	datagram(data: Uint8Array): void {
		this.#datagrams.send(data);
	}

	close(code: number, reason: string): void {
		if (this.#over) return;
		void this.#flush().then(() => {
			if (this.#over) return;
			this.#session.close({ closeCode: code, reason });
			this.#deadline(() => this.#input.closed(code, reason));
		});
	}

	/** For the halves: the session failed under a stream. Its own `closed` should say so; if not, this does. */
	sessionFailed(error: unknown): void {
		this.#deadline(() => this.#input.failed(describe(error)));
	}

	receiverDone(stream: number): void {
		this.#receivers.delete(stream);
	}

	senderDone(stream: number): void {
		this.#senders.delete(stream);
		if (this.#senders.size === 0) this.#drained?.();
	}

	#opened(stream: number, opening: Opening, result: WritableStream<Uint8Array> | Bidirectional): void {
		this.#opening.delete(stream);
		const { readable, writable } = "readable" in result ? result : { readable: undefined, writable: result };
		if (readable) this.#receive(stream, readable);
		this.#send(stream, writable);
		this.#input.opened(stream);
		for (const step of opening.steps) step();
		if (opening.reset !== undefined) this.reset(stream, opening.reset);
		if (opening.stop !== undefined) this.stop(stream, opening.stop);
	}

	#whenOpen(stream: number, step: () => void): void {
		const opening = this.#opening.get(stream);
		if (opening) opening.steps.push(step);
		else step();
	}

	#receive(stream: number, readable: ReadableStream<Uint8Array>): void {
		this.#receivers.set(stream, new Receiver(stream, readable, this.#input, this));
	}

	#send(stream: number, writable: WritableStream<Uint8Array>): void {
		this.#senders.set(stream, new Sender(stream, writable, this.#input, this));
	}

	async #accept<T>(streams: ReadableStream<T>, take: (stream: T) => void): Promise<void> {
		const reader = streams.getReader();
		try {
			for (;;) {
				const { done, value } = await reader.read();
				if (done) return;
				take(value);
			}
		} catch (error) {
			this.sessionFailed(error);
		}
	}

	/** Wait, but not long, until nothing written is left with us: a close overtakes what has not left yet. */
	async #flush(): Promise<void> {
		const pending = [...this.#senders.values()].some((sender) => sender.outstanding > 0);
		if (!pending) return;
		await new Promise<void>((resolve) => {
			const timer = setTimeout(resolve, CLOSE_FLUSH_MS);
			this.#drained = () => {
				clearTimeout(timer);
				resolve();
			};
		});
	}

	/** Report an end that the platform may keep to itself. */
	#deadline(report: () => void): void {
		if (this.#over || this.#watch !== undefined) return;
		this.#watch = setTimeout(() => this.#ended(report), CLOSE_CONFIRM_MS);
	}

	#ended(report: () => void): void {
		if (this.#over) return;
		this.#over = true;
		clearTimeout(this.#watch);
		this.#drained?.();
		report();
	}
}

type Bidirectional = { readable: ReadableStream<Uint8Array>; writable: WritableStream<Uint8Array> };

/** A stream the core cannot take: end it on both sides. */
function refuse(readable: ReadableStream<Uint8Array>, writable?: WritableStream<Uint8Array>): void {
	readable.cancel(streamReason(0)).catch(ignore);
	writable?.abort(streamReason(0)).catch(ignore);
}

function ignore(): void {}
