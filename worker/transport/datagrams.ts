/** Datagrams of one session, both ways, best effort. */

import type { TransportInput } from "../core/transport.ts";
import type { DatagramsLike } from "./like.ts";

/** Datagrams handed to the browser and not yet taken; more are dropped, as the network would. */
const BACKLOG = 64;

/** Sends and receives until the session ends. */
export class Datagrams {
	readonly #writer: WritableStreamDefaultWriter<Uint8Array> | undefined;
	#waiting = 0;

	constructor(datagrams: DatagramsLike | undefined, input: TransportInput) {
		if (!datagrams) return;
		this.#writer = writable(datagrams)?.getWriter();
		this.#writer?.closed.catch(ignore);
		this.#writer?.ready.catch(ignore);
		void receive(datagrams.readable, input);
	}

	send(data: Uint8Array): void {
		if (!this.#writer || this.#waiting >= BACKLOG) return;
		this.#waiting += 1;
		const taken = () => {
			this.#waiting -= 1;
		};
		this.#writer.write(data).then(taken, taken);
	}
}

/** Largest payload that can be sent; 0 where nothing can. */
export function maxDatagramBytes(datagrams: DatagramsLike | undefined): number {
	if (!datagrams || (!datagrams.createWritable && !datagrams.writable)) return 0;
	return datagrams.maxDatagramSize;
}

function writable(datagrams: DatagramsLike): WritableStream<Uint8Array> | undefined {
	return datagrams.createWritable?.() ?? datagrams.writable;
}

async function receive(readable: ReadableStream<Uint8Array>, input: TransportInput): Promise<void> {
	const reader = readable.getReader();
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done) return;
			input.datagram(value);
		}
	} catch {
		// The session is over, which its own end reports.
	}
}

function ignore(): void {}
