/** One transport session seen from the core: copies bytes in, reports what happened, and wakes the core. */

import type { Instance } from "./instance.ts";
import type { TransportInput } from "./transport.ts";

/** A lost code, as the core takes it. */
const NONE = Number.NaN;

/** What the link needs from the core around it. */
export interface LinkOwner {
	wake(): void;
	/** The session is over for the transport. */
	unlink(session: number): void;
}

/** After a crash every report is dropped: there is nobody to tell, and the crash has been reported. */
export class Link implements TransportInput {
	readonly #instance: Instance;
	readonly #owner: LinkOwner;
	readonly #session: number;

	constructor(instance: Instance, session: number, owner: LinkOwner) {
		this.#instance = instance;
		this.#session = session;
		this.#owner = owner;
	}

	accepted(bidirectional: boolean): number {
		return this.#call((raw) => raw.accepted(this.#session, bidirectional), 0);
	}

	opened(stream: number): void {
		this.#call((raw) => raw.opened(stream), undefined);
	}

	openFailed(stream: number, reason: string): void {
		this.#call((raw) => raw.openFailed(stream, reason), undefined);
	}

	received(stream: number, bytes: Uint8Array, fin: boolean): boolean {
		const { memory } = this.#instance;
		return this.#call((raw) => {
			if (bytes.byteLength > 0) {
				const pointer = raw.reserve(stream, bytes.byteLength);
				if (pointer === 0) return false;
				memory.write(pointer, bytes);
			}
			return raw.commit(stream, bytes.byteLength, fin);
		}, false);
	}

	resetByPeer(stream: number, code: number | undefined): void {
		this.#call((raw) => raw.resetByPeer(stream, code ?? NONE), undefined);
	}

	written(stream: number, bytes: number): void {
		this.#call((raw) => raw.written(stream, bytes), undefined);
	}

	sendClosed(stream: number): void {
		this.#call((raw) => raw.sendClosed(stream), undefined);
	}

	stoppedByPeer(stream: number, code: number | undefined): void {
		this.#call((raw) => raw.stoppedByPeer(stream, code ?? NONE), undefined);
	}

	datagram(bytes: Uint8Array): void {
		this.#call((raw) => raw.datagram(this.#session, bytes), undefined);
	}

	closed(code: number, reason: string): void {
		this.#owner.unlink(this.#session);
		this.#call((raw) => raw.transportClosed(this.#session, code, reason), undefined);
	}

	failed(reason: string): void {
		this.#owner.unlink(this.#session);
		this.#call((raw) => raw.transportFailed(this.#session, reason), undefined);
	}

	#call<T>(work: Parameters<typeof Instance.prototype.call<T>>[0], fallback: T): T {
		if (this.#instance.dead) return fallback;
		try {
			const result = this.#instance.call(work);
			this.#owner.wake();
			return result;
		} catch {
			// Only a crash throws here, and the instance has told everybody.
			return fallback;
		}
	}
}
