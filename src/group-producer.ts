import { keeping } from "./collected.ts";
import { disposeByClose } from "./dispose.ts";
import { type FrameProducer, frameProducer } from "./frame-producer.ts";
import type { FrameData, WriteOptions } from "./payload.ts";
import type { GroupWriter } from "./writer/group-writer.ts";

/** Makes the object users hold. */
export let groupProducer: (writer: GroupWriter) => GroupProducer;

/** Writes one group. Finish it: a group that is closed unfinished fails for its readers. */
export class GroupProducer {
	readonly #writer: GroupWriter;

	private constructor(writer: GroupWriter) {
		this.#writer = writer;
		writer.hold(this);
	}

	static {
		groupProducer = (writer) => new GroupProducer(writer);
	}

	/** Number of the group in its track. */
	get sequence(): number {
		return this.#writer.sequence;
	}

	/** Frames written so far. */
	get frameCount(): number {
		return this.#writer.frameCount;
	}

	/** Resolves when the next frame can leave at once. Await it between writes to keep the page's memory flat. */
	get ready(): Promise<void> {
		return this.#writer.ready;
	}

	/** Resolves when the group was finished or aborted here; rejects when it was refused, or its track ended. */
	get closed(): Promise<void> {
		return this.#writer.closed;
	}

	/**
	 * Append a frame. `timestamp` is in the track's timescale units, and given exactly when the track is timed.
	 * @throws ClosedError after the end, UsageError for a wrong argument, kind `too-many-pending` when `ready` was ignored.
	 */
	writeFrame(data: FrameData, timestamp?: number, options: WriteOptions = {}): void {
		this.#writer.writeFrame(data, timestamp, options);
	}

	/**
	 * Append a frame of `size` bytes and write it in pieces.
	 * @throws as {@link GroupProducer.writeFrame}.
	 */
	createFrame(size: number, timestamp?: number): FrameProducer {
		return keeping(frameProducer(this.#writer.createFrame(size, timestamp)), this);
	}

	/**
	 * The group is complete.
	 * @throws UsageError while a frame that is written in pieces is not.
	 */
	finish(): void {
		this.#writer.finish();
	}

	/** Give the group up; readers get an error of kind `app` with this code, 0…65535. */
	abort(code = 0): void {
		this.#writer.abort(code);
	}

	/** `abort()`, unless the group has ended. */
	close(): void {
		this.#writer.close();
	}

	/** `close()`, for `using`; present where the engine has the symbol. */
	declare [Symbol.dispose]: () => void;
}

disposeByClose(GroupProducer);
