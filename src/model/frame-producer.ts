import { disposeBy, tag } from "../handle/dispose.ts";
import type { FrameWriter } from "../write/frame-writer.ts";
import type { FrameData, WriteOptions } from "./payload.ts";

/** Makes the object users hold. */
export let frameProducer: (writer: FrameWriter) => FrameProducer;

/** Writes one frame in pieces. It is complete with its last byte. */
export class FrameProducer {
	readonly #writer: FrameWriter;

	private constructor(writer: FrameWriter) {
		this.#writer = writer;
		writer.hold(this);
	}

	static {
		frameProducer = (writer) => new FrameProducer(writer);
	}

	/** Bytes it was declared with. */
	get size(): number {
		return this.#writer.size;
	}

	/** Bytes still missing. */
	get remaining(): number {
		return this.#writer.remaining;
	}

	/** Resolves when the next piece can leave at once. Await it between writes to keep the page's memory flat. */
	get ready(): Promise<void> {
		return this.#writer.ready;
	}

	/**
	 * Append a piece; readers see it when the frame is complete.
	 * @throws UsageError for more than is missing, ClosedError after the end, kind `too-many-pending` when `ready` was ignored.
	 */
	write(data: FrameData, options: WriteOptions = {}): void {
		this.#writer.write(data, options);
	}

	/** Give the frame up, unless it is complete. Its readers see the group fail. */
	abort(): void {
		this.#writer.close();
	}

	/** `abort()`. */
	close(): void {
		this.#writer.close();
	}

	/** `close()`, for `using`; present where the engine has the symbol. */
	declare [Symbol.dispose]: () => void;
}

tag(FrameProducer, "FrameProducer");
disposeBy(FrameProducer, "close");
