import { tag } from "../handle/dispose.ts";

/** A byte order mark is part of the text. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Bytes as they were received. The payload is looked at where it arrived: nothing is copied until asked for. */
export abstract class Payload {
	/** In the track's timescale units; absent on tracks that arrive untimed, which from moq-lite-05 on there are none of. */
	readonly timestamp?: number;
	readonly #buffer: ArrayBuffer;
	readonly #offset: number;
	readonly #length: number;

	/** A view of `length` bytes of `buffer`. */
	protected constructor(buffer: ArrayBuffer, offset: number, length: number, timestamp?: number) {
		this.#buffer = buffer;
		this.#offset = offset;
		this.#length = length;
		if (timestamp !== undefined) this.timestamp = timestamp;
	}

	/** Payload bytes. */
	get size(): number {
		return this.#length;
	}

	/** The payload as a view. Its buffer is shared with others: keep a copy ({@link Payload.bytes}), not the view. */
	get data(): Uint8Array<ArrayBuffer> {
		return new Uint8Array(this.#buffer, this.#offset, this.#length);
	}

	/** A copy of the payload with a buffer of its own, for keeping or transferring. */
	bytes(): Uint8Array<ArrayBuffer> {
		return this.data.slice();
	}

	/** The payload as UTF-8 text. */
	text(): string {
		return decoder.decode(this.data);
	}

	/**
	 * The payload as JSON.
	 * @throws SyntaxError when it is not.
	 */
	json<T = unknown>(): T {
		return JSON.parse(this.text()) as T;
	}
}

/** One frame of a group. */
export class Frame extends Payload {
	/** Position in its group, from 0. */
	readonly index: number;

	/** Made by the library. */
	constructor(buffer: ArrayBuffer, offset: number, length: number, index: number, timestamp?: number) {
		super(buffer, offset, length, timestamp);
		this.index = index;
	}
}

/** One datagram of a track. */
export class Datagram extends Payload {
	/** Its number in the track, which it shares with the groups. */
	readonly sequence: number;

	/** Made by the library. */
	constructor(buffer: ArrayBuffer, offset: number, length: number, sequence: number, timestamp?: number) {
		super(buffer, offset, length, timestamp);
		this.sequence = sequence;
	}
}

tag(Payload, "Payload");
