import type { Anchor } from "../handle/anchor.ts";
import * as argument from "../handle/argument.ts";
import { inUse } from "../handle/collected.ts";
import { disposeBy, tag } from "../handle/dispose.ts";
import { iteration } from "../handle/iteration.ts";
import { Pending, type WaitOptions } from "../handle/pending.ts";
import { quiet } from "../handle/quiet.ts";
import type { GroupBuffer } from "../read/group-buffer.ts";
import type { Frame } from "./frame.ts";

/** Makes the object users hold. */
export let groupConsumer: (buffer: GroupBuffer, anchor?: Anchor) => GroupConsumer;

/**
 * Reads one group, frame by frame and in order. Iterate it, or call {@link GroupConsumer.readFrame}.
 *
 * A clean end of the iteration means that the group is complete; a group that was cut short throws.
 */
export class GroupConsumer {
	readonly #buffer: GroupBuffer;
	/** Only a group that was fetched has a place of its own in the worker. */
	readonly #anchor: Anchor | undefined;
	#finished: Promise<number> | undefined;

	private constructor(buffer: GroupBuffer, anchor?: Anchor) {
		this.#buffer = buffer;
		this.#anchor = anchor;
		anchor?.hold(this);
	}

	static {
		groupConsumer = (buffer, anchor) => new GroupConsumer(buffer, anchor);
	}

	/** Number of the group in its track. */
	get sequence(): number {
		return this.#buffer.sequence;
	}

	/** Units per second of the frames' timestamps; undefined on a track that arrives untimed (before moq-lite-05). */
	get timescale(): number | undefined {
		return this.#buffer.timescale;
	}

	/**
	 * The total number of frames, once the publisher has completed the group. Rejects when the group fails; never raises
	 * an unhandled rejection.
	 */
	get finished(): Promise<number> {
		this.#finished ??= quiet(inUse(this, this.#buffer.finished()));
		return this.#finished;
	}

	/**
	 * The next frame; undefined when the group is complete. Several reads at a time are served in turn.
	 * @throws MoqError of kind `lagged`, `old` or `evicted` when frames were dropped, else what ended the group.
	 */
	readFrame(options?: WaitOptions): Pending<Frame | undefined> {
		return this.#buffer.read(this, options);
	}

	/**
	 * Frame number `index`, once it is here; undefined when the group is complete without it. It is only looked at: reading goes on
	 * where it was, and the frames before are kept until they are read.
	 * @throws MoqError of kind `lagged` for a frame that was read already, `out-of-range` for one more than 4096 frames ahead.
	 */
	getFrame(index: number, options?: WaitOptions): Pending<Frame | undefined> {
		return Pending.from(() => this.#buffer.readAt(argument.whole("index", index), this, options));
	}

	/** No more interest in this group: what has not been read is dropped, and no more of it is sent. */
	close(): void {
		this.#buffer.close();
		this.#anchor?.close();
	}

	/** `close()`, for `using`; present where the engine has the symbol. */
	declare [Symbol.dispose]: () => void;

	/** Frame by frame. Leaving the loop early closes the group. */
	[Symbol.asyncIterator](): AsyncIterableIterator<Frame, undefined> {
		return iteration(
			() => this.#buffer.step(),
			() => this.close(),
		);
	}
}

tag(GroupConsumer, "GroupConsumer");
disposeBy(GroupConsumer, "close");
