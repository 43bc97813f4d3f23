import { MAX_GROUP } from "../../worker/protocol/limits.ts";
import * as argument from "../handle/argument.ts";
import { closed, closeWhenCollected, type Owned } from "../handle/collected.ts";
import { Ending } from "../handle/ending.ts";
import { failure, type MoqError, usage } from "../handle/error.ts";
import { type RejectReason, rejection } from "../handle/reason.ts";
import { type FrameData, payload, type WriteOptions } from "../model/payload.ts";
import { FrameWriter } from "./frame-writer.ts";
import { checkSize, type Outbox } from "./outbox.ts";

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
	readonly #warn: ((warning: MoqError) => void) | undefined;
	#bytes = 0;
	#isOver = false;
	readonly #ending = new Ending();

	/**
	 * `group.number` is its number on the port, where it has begun; whether it is timed may be unknown here. `ended` runs once when
	 * nothing more will be written, `warn` once when the group is larger than what is kept of one.
	 */
	constructor(
		outbox: Outbox,
		group: { number: number; sequence: number; isTimed: boolean | undefined },
		ended: (group: number) => void,
		warn?: (warning: MoqError) => void,
	) {
		this.#outbox = outbox;
		this.#group = group.number;
		this.sequence = group.sequence;
		this.#isTimed = group.isTimed;
		this.#ended = ended;
		this.#warn = warn;
	}

	hold(owner: object): void {
		closeWhenCollected(owner, this, "a GroupProducer was collected without finish(): its readers saw it fail");
	}

	get isLive(): boolean {
		return this.#ending.isLive;
	}

	get ready(): Promise<void> {
		return this.#outbox.ready;
	}

	get closed(): Promise<void> {
		return this.#ending.closed;
	}

	writeFrame(data: FrameData, timestamp: number | undefined, options: WriteOptions): void {
		this.check();
		checkTimestamp(timestamp, this.#isTimed);
		const bytes = this.#outbox.bytes(data, options);
		const { byteLength } = bytes;
		this.#outbox.push({ type: "frame", group: this.#group, data: bytes, timestamp });
		this.#count(byteLength);
	}

	/** A frame that is written in pieces. */
	createFrame(size: number, timestamp: number | undefined): FrameWriter {
		checkSize(argument.whole("size", size));
		this.check();
		checkTimestamp(timestamp, this.#isTimed);
		const frame = `${this.#group}:${this.#nextFrame++}`;
		const writer = new FrameWriter(this, frame, size);
		this.#outbox.push({ type: "frameStart", group: this.#group, frame, size, timestamp });
		if (size > 0) this.frames.add(writer);
		this.#count(size);
		return writer;
	}

	/** The next piece of a frame, of which `missing` bytes are missing. Returns how many it has. */
	chunk(frame: string, missing: number, data: FrameData, options: WriteOptions): number {
		const bytes = payload(data, options, (size) => {
			if (size > missing) throw usage(`a piece of ${size} bytes, where ${missing} are missing`);
			this.#outbox.admit(size);
		});
		const { byteLength } = bytes;
		if (byteLength > 0) this.#outbox.push({ type: "chunk", group: this.#group, frame, data: bytes });
		return byteLength;
	}

	/** A frame will not be completed. */
	abortFrame(frame: string): void {
		this.#outbox.push({ type: "frameAbort", group: this.#group, frame });
	}

	finish(): void {
		this.check();
		if (this.frames.size > 0) throw usage("a frame of this group is not complete");
		this.#outbox.push({ type: "groupEnd", group: this.#group });
		this.#end(undefined);
	}

	abort(reason: RejectReason): void {
		const error = rejection(reason);
		this.check();
		this.#outbox.push({ type: "groupAbort", group: this.#group, error });
		this.#end(undefined);
	}

	close(): void {
		if (this.isLive) this.abort(0);
	}

	/** Its track was aborted. */
	abandon(): void {
		this.#end(undefined);
	}

	/** Refused, or the track ended. */
	fail(error: MoqError): void {
		this.#end(error);
	}

	/** @throws why nothing more can be written. */
	check(): void {
		this.#ending.check(`group ${this.sequence} has ended`);
	}

	/** One more frame. */
	#count(bytes: number): void {
		this.frameCount++;
		this.#bytes += bytes;
		const isLong = this.frameCount > MAX_GROUP.frames;
		if (this.#isOver || !(isLong || this.#bytes > MAX_GROUP.bytes)) return;
		this.#isOver = true;
		const limit = isLong ? `group_frames (${MAX_GROUP.frames})` : `group_bytes (${MAX_GROUP.bytes})`;
		const message =
			`group ${this.sequence} is above the limit ${limit}: its oldest frames are no longer kept, and readers that are ` +
			"behind them get `lagged`; start a new group earlier";
		this.#warn?.(failure("too-large", message));
	}

	#end(error: MoqError | undefined): void {
		if (!this.#ending.end(error)) return;
		closed(this);
		for (const frame of this.frames) closed(frame);
		this.frames.clear();
		this.#ended(this.#group);
		this.#ending.tell();
	}
}

/** A timestamp exactly when the track is timed: the other two cases have no meaning on the wire. */
export function checkTimestamp(timestamp: number | undefined, isTimed: boolean | undefined): void {
	argument.optionalWhole("timestamp", timestamp);
	if (isTimed === undefined) return;
	if (isTimed && timestamp === undefined) throw usage("timestamp is missing: the track has a timescale");
	if (!isTimed && timestamp !== undefined) throw usage("timestamp given, but the track has no timescale");
}
