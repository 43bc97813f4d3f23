import * as argument from "../argument.ts";
import { closed, closeWhenCollected, type Owned } from "../collected.ts";
import { ClosedError, type MoqError, usage } from "../error.ts";
import { type FrameData, payload, type WriteOptions } from "../payload.ts";
import { FrameWriter } from "./frame-writer.ts";
import type { Outbox } from "./outbox.ts";

/** Highest application code that fits the wire. */
export const MAX_APP_CODE = 0xffff;

/** The page's state of one group that is being written. */
export class GroupWriter implements Owned {
	readonly sequence: number;
	frameCount = 0;
	readonly #outbox: Outbox;
	readonly #group: number;
	readonly #isTimed: boolean | undefined;
	/** Frames whose last byte is still missing. */
	readonly frames = new Set<FrameWriter>();
	#nextFrame = 1;
	readonly #ended: (group: number) => void;
	#state: { type: "open" } | { type: "closed" } | { type: "failed"; error: MoqError } = { type: "open" };
	#settle: { resolve: () => void; reject: (error: MoqError) => void } | undefined;
	#closed: Promise<void> | undefined;

	/**
	 * `group.number` is its number on the port, where it has begun; whether it is timed may be unknown here. `ended` runs once when
	 * nothing more will be written.
	 */
	constructor(
		outbox: Outbox,
		group: { number: number; sequence: number; isTimed: boolean | undefined },
		ended: (group: number) => void,
	) {
		this.#outbox = outbox;
		this.#group = group.number;
		this.sequence = group.sequence;
		this.#isTimed = group.isTimed;
		this.#ended = ended;
	}

	hold(owner: object): void {
		closeWhenCollected(owner, this, "a GroupProducer was collected without finish(): its readers saw it fail");
	}

	get isLive(): boolean {
		return this.#state.type === "open";
	}

	get ready(): Promise<void> {
		return this.#outbox.ready;
	}

	get closed(): Promise<void> {
		if (!this.#closed) {
			this.#closed = new Promise((resolve, reject) => {
				if (this.#state.type === "open") this.#settle = { resolve, reject };
				else if (this.#state.type === "closed") resolve();
				else reject(this.#state.error);
			});
			this.#closed.catch(() => undefined);
		}
		return this.#closed;
	}

	writeFrame(data: FrameData, timestamp: number | undefined, options: WriteOptions): void {
		this.check();
		checkTimestamp(timestamp, this.#isTimed);
		const bytes = payload(data, options);
		this.#outbox.push(
			timestamp === undefined
				? { type: "frame", group: this.#group, data: bytes }
				: { type: "frame", group: this.#group, data: bytes, timestamp },
		);
		this.frameCount++;
	}

	/** A frame that is written in pieces. */
	createFrame(size: number, timestamp: number | undefined): FrameWriter {
		argument.whole("size", size);
		this.check();
		checkTimestamp(timestamp, this.#isTimed);
		const frame = `${this.#group}:${this.#nextFrame++}`;
		const writer = new FrameWriter(this, frame, size);
		const step = { type: "frameStart", group: this.#group, frame, size } as const;
		this.#outbox.push(timestamp === undefined ? step : { ...step, timestamp });
		if (size > 0) this.frames.add(writer);
		this.frameCount++;
		return writer;
	}

	/** The next piece of a frame. */
	chunk(frame: string, data: Uint8Array): void {
		this.#outbox.push({ type: "chunk", group: this.#group, frame, data });
	}

	/** A frame will not be completed. */
	abortFrame(frame: string): void {
		this.#outbox.push({ type: "frameAbort", group: this.#group, frame });
	}

	finish(): void {
		this.check();
		if (this.frames.size > 0) throw usage("a frame of this group is not complete");
		this.#outbox.push({ type: "groupEnd", group: this.#group });
		this.#end({ type: "closed" });
	}

	abort(code: number): void {
		argument.whole("code", code, MAX_APP_CODE);
		this.check();
		this.#outbox.push({ type: "groupAbort", group: this.#group, code });
		this.#end({ type: "closed" });
	}

	close(): void {
		if (this.isLive) this.abort(0);
	}

	/** Refused, or the track ended. */
	fail(error: MoqError): void {
		this.#end({ type: "failed", error });
	}

	/** @throws why nothing more can be written. */
	check(): void {
		if (this.#state.type === "failed") throw this.#state.error;
		if (this.#state.type === "closed") {
			throw new ClosedError({ kind: "closed", message: `group ${this.sequence} has ended` });
		}
	}

	#end(state: { type: "closed" } | { type: "failed"; error: MoqError }): void {
		if (!this.isLive) return;
		this.#state = state;
		closed(this);
		for (const frame of this.frames) closed(frame);
		this.frames.clear();
		this.#ended(this.#group);
		if (state.type === "failed") this.#settle?.reject(state.error);
		else this.#settle?.resolve();
	}
}

/** A timestamp exactly when the track is timed: the other two cases have no meaning on the wire. */
export function checkTimestamp(timestamp: number | undefined, isTimed: boolean | undefined): void {
	argument.optionalWhole("timestamp", timestamp);
	if (isTimed === undefined) return;
	if (isTimed && timestamp === undefined) throw usage("timestamp is missing: the track has a timescale");
	if (!isTimed && timestamp !== undefined) throw usage("timestamp given, but the track has no timescale");
}
