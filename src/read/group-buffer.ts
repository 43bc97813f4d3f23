import { READ_FRAMES_MAX, UNREAD_GROUPS } from "../../worker/protocol/limits.ts";
import type { Batch } from "../../worker/rpc/batch.ts";
import { failure, type MoqError } from "../handle/error.ts";
import { step } from "../handle/iteration.ts";
import { Line } from "../handle/line.ts";
import type { Pending, WaitOptions } from "../handle/pending.ts";
import { Frame } from "../model/frame.ts";

/** Frames of one group that arrived in one stretch: a place in a batch and how far it goes. */
interface Run {
	batch: Batch;
	record: number;
	left: number;
	payload: number;
}

/** The reader a group belongs to. */
export interface GroupOwner {
	/** So much was read, or will never be. */
	read(frames: number, bytes: number): void;
	/** Somebody waits for a frame of this group and none is here. */
	hungry(group: GroupBuffer): void;
	/** Nobody reads this group any more, or nothing is left of it. `isOpen`: more of it may come from the worker. */
	left(group: GroupBuffer, isOpen: boolean): void;
}

type End = { type: "open" } | { type: "ended"; frames: number } | { type: "failed"; error: MoqError };

/** What has arrived of one group and was not read yet. Frames stay in their batches until somebody reads them. */
export class GroupBuffer {
	/** Its number in the subscription. */
	readonly gid: number;
	readonly sequence: number;
	/** Units per second of its timestamps; undefined: untimed. */
	readonly timescale: number | undefined;
	/** Somebody has tried to read it. */
	isTouched = false;
	/** Asked for past the credit, and nothing came since. */
	isWanted = false;
	readonly #owner: GroupOwner;
	readonly #line = new Line<Frame | undefined>();
	readonly #runs: Run[] = [];
	#frames = 0;
	#bytes = 0;
	#index: number;
	#end: End = { type: "open" };
	#finished: Line<number> | undefined;
	/** Who waits for one frame, wherever the others are. */
	#byIndex: Map<number, Line<Frame | undefined>> | undefined;

	constructor(owner: GroupOwner, gid: number, sequence: number, timescale: number, firstFrame: number) {
		this.#owner = owner;
		this.gid = gid;
		this.sequence = sequence;
		this.timescale = timescale > 0 ? timescale : undefined;
		this.#index = firstFrame;
	}

	/** Frames that can be read without waiting. */
	get frames(): number {
		return this.#frames;
	}

	get isOpen(): boolean {
		return this.#end.type === "open";
	}

	/** What it failed with. */
	get error(): MoqError | undefined {
		return this.#end.type === "failed" ? this.#end.error : undefined;
	}

	get isAwaited(): boolean {
		return !this.#line.isEmpty || [...(this.#byIndex?.values() ?? [])].some((line) => !line.isEmpty);
	}

	/** A frame arrived: the record of `batch` at `record`, its payload at `payload`. */
	push(batch: Batch, record: number, payload: number, bytes: number): void {
		const last = this.#runs.at(-1);
		// Records in a row have payloads in a row.
		if (last && last.batch === batch && last.record + last.left === record) last.left++;
		else this.#runs.push({ batch, record, left: 1, payload });
		this.#frames++;
		this.#bytes += bytes;
		this.isWanted = false;
		const line = this.#byIndex?.get(this.#index + this.#frames - 1);
		if (line) {
			this.#byIndex?.delete(this.#index + this.#frames - 1);
			line.drain(this.#at(this.#frames - 1));
		}
		if (!this.#line.isEmpty) this.#line.serve(this.#shift());
	}

	/** The worker says that the group is over. Frames that are here can still be read. */
	end(end: { type: "ended"; frames: number } | { type: "failed"; error: MoqError }): void {
		if (this.#end.type !== "open") return;
		this.#end = end;
		if (end.type === "ended") {
			this.#line.drain(undefined);
			this.#finished?.drain(end.frames);
			for (const line of this.#byIndex?.values() ?? []) line.drain(undefined);
		} else this.#failReaders(end.error);
		this.#byIndex = undefined;
		if (this.#frames === 0) this.#owner.left(this, false);
	}

	/** The next frame as a promise that is settled already when the frame is here. Undefined: the group is complete. */
	next(): Promise<Frame | undefined> {
		this.isTouched = true;
		return this.#line.next(
			() => this.#take(),
			() => this.#owner.hungry(this),
		);
	}

	/** One step of an iteration. */
	step(): Promise<IteratorResult<Frame, undefined>> {
		if (this.#frames > 0 && this.#line.isEmpty) {
			this.isTouched = true;
			return Promise.resolve(step<Frame>(this.#shift()));
		}
		return this.next().then(step);
	}

	/** The oldest frame that is here. */
	takeFirst(): Frame {
		return this.#shift();
	}

	/** {@link GroupBuffer.next}, cancellable; `owner` is kept meanwhile. */
	read(owner: object, options?: WaitOptions): Pending<Frame | undefined> {
		this.isTouched = true;
		const take = () => this.#take();
		const wake = () => this.#owner.hungry(this);
		return this.#line.read({ take, wake, owner }, options);
	}

	/** One frame without taking it; those before it stay. Undefined: the group is complete without it. */
	readAt(index: number, owner: object, options?: WaitOptions): Pending<Frame | undefined> {
		this.isTouched = true;
		const take = () => {
			if (index < this.#index) {
				throw failure("lagged", `frame ${index} was read already, and is not kept`);
			}
			if (index - this.#index > READ_FRAMES_MAX) {
				throw failure("out-of-range", `frame ${index} is too far ahead of frame ${this.#index}`);
			}
			return index < this.#index + this.#frames ? { item: this.#at(index - this.#index) } : this.#none();
		};
		const line = this.#byIndex?.get(index) ?? new Line<Frame | undefined>();
		const wake = () => {
			this.#byIndex ??= new Map();
			this.#byIndex.set(index, line);
			this.#owner.hungry(this);
		};
		return line.read({ take, wake, owner }, options);
	}

	/** Number of frames the group has in all, once it is known. */
	finished(): Promise<number> {
		if (this.#end.type === "ended") return Promise.resolve(this.#end.frames);
		if (this.#end.type === "failed") return Promise.reject(this.#end.error);
		this.#finished ??= new Line();
		return this.#finished.wait();
	}

	/** Give it up because the reader fell behind: what is here is dropped, reading it later says so. */
	lag(): void {
		const message =
			`group ${this.sequence} was taken and not read while ${UNREAD_GROUPS} later groups were, which is the most that ` +
			"this page keeps of one subscription: read or close a group before taking so many more";
		this.#drop(failure("lagged", message));
	}

	/** The reader has no more use for it. */
	close(): void {
		this.#drop(failure("closed", `group ${this.sequence} was closed`));
	}

	/** The subscription is gone, and the group with it. */
	fail(error: MoqError): void {
		this.end({ type: "failed", error });
	}

	#take(): { item: Frame | undefined } | undefined {
		return this.#frames > 0 ? { item: this.#shift() } : this.#none();
	}

	/** What no frame means: nothing yet, or nothing any more. */
	#none(): { item: undefined } | undefined {
		if (this.#end.type === "ended") return { item: undefined };
		if (this.#end.type === "failed") throw this.#end.error;
		return undefined;
	}

	/** Frame number `offset` of those that are here. */
	#at(offset: number): Frame {
		let left = offset;
		for (const { batch, record, left: count, payload } of this.#runs) {
			if (left >= count) {
				left -= count;
				continue;
			}
			let at = payload;
			for (let before = record; before < record + left; before++) at += batch.c(before);
			return frameAt(batch, record + left, at, this.#index + offset);
		}
		throw new RangeError("no frame is buffered");
	}

	#failReaders(error: MoqError): void {
		this.#line.fail(error);
		this.#finished?.fail(error);
		for (const line of this.#byIndex?.values() ?? []) line.fail(error);
	}

	#shift(): Frame {
		const run = this.#runs[0];
		if (!run) throw new RangeError("no frame is buffered");
		const { batch, record, payload } = run;
		const bytes = batch.c(record);
		const frame = frameAt(batch, record, payload, this.#index++);
		if (--run.left === 0) this.#runs.shift();
		run.record++;
		run.payload += bytes;
		this.#frames--;
		this.#bytes -= bytes;
		this.#owner.read(1, bytes);
		if (this.#frames === 0 && this.#end.type !== "open") this.#owner.left(this, false);
		return frame;
	}

	#drop(error: MoqError): void {
		const { isOpen } = this;
		const frames = this.#frames;
		const bytes = this.#bytes;
		if (!isOpen && frames === 0) return;
		this.#runs.length = 0;
		this.#frames = 0;
		this.#bytes = 0;
		// A group that was complete and dropped unread must not look complete.
		this.#end = { type: "failed", error };
		this.#failReaders(error);
		this.#byIndex = undefined;
		this.#owner.read(frames, bytes);
		this.#owner.left(this, isOpen);
	}
}

function frameAt(batch: Batch, record: number, payload: number, index: number): Frame {
	const timestamp = batch.b(record);
	return new Frame(batch.buffer, payload, batch.c(record), index, Number.isNaN(timestamp) ? undefined : timestamp);
}
