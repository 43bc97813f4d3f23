import { keeping } from "../handle/collected.ts";
import { Handle } from "../handle/handle.ts";
import type { RejectReason } from "../handle/reason.ts";
import type { GroupWriter } from "../write/group-writer.ts";
import { type FrameProducer, frameProducer } from "./frame-producer.ts";
import type { FrameData, WriteOptions } from "./payload.ts";

/** Makes the object users hold. */
export let groupProducer: (writer: GroupWriter) => GroupProducer;

/** Writes one group. Finish it: closing one that is unfinished is `abort()`. */
export class GroupProducer extends Handle {
	readonly #writer: GroupWriter;

	private constructor(writer: GroupWriter) {
		super(writer);
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

	/** Give the group up; readers get the reason: for a number an error of kind `app` with that code, 0…65535. */
	abort(reason: RejectReason = 0): void {
		this.#writer.abort(reason);
	}
}
