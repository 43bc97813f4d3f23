import { MAX_FRAME_BYTES, type Window, WRITE_BACKLOG } from "../../worker/protocol/limits.ts";
import type { WriterEvent, WriterRequest, WriteStep } from "../../worker/protocol/port.ts";
import { failure, type MoqError } from "../handle/error.ts";
import { Line } from "../handle/line.ts";
import { quiet } from "../handle/quiet.ts";
import { type FrameData, payload, type WriteOptions } from "../model/payload.ts";

/** @throws MoqError of kind `too-large`. */
export function checkSize(bytes: number, noun = "frame", max = MAX_FRAME_BYTES): void {
	if (bytes > max) throw failure("too-large", `a ${noun} of ${bytes} bytes, above ${max}`);
}

/** A step and the frame credit it takes: a frame, a piece or a datagram costs one and its bytes, everything else is free. */
function cost(step: WriteStep): { frames: number; bytes: number } {
	return "data" in step ? { frames: 1, bytes: step.data.byteLength } : { frames: 0, bytes: 0 };
}

/**
 * The page's end of a publication's port: collects the steps of one turn into one message and sends them as far as the
 * worker's credit goes. What is left waits here, up to a bound.
 */
export class Outbox {
	readonly #port: MessagePort;
	readonly #ready = new Line<void>();
	#queue: WriteStep[] = [];
	#queuedFrames = 0;
	#queuedBytes = 0;
	#creditFrames: number;
	#creditBytes: number;
	#isFlushDue = false;
	#isHeld = false;
	#isClosed = false;

	/** The worker counts from the same `window`. `receive` gets everything but credit. */
	constructor(port: MessagePort, window: Window, receive: (event: Exclude<WriterEvent, { type: "grant" }>) => void) {
		this.#port = port;
		this.#creditFrames = window.frames;
		this.#creditBytes = window.bytes;
		port.onmessage = ({ data }: MessageEvent<WriterEvent>) => {
			if (data.type === "grant") this.#grant(data.frames, data.bytes);
			else receive(data);
		};
	}

	/** Resolves when the next frame can go to the worker at once. */
	get ready(): Promise<void> {
		if (this.#isReady) return Promise.resolve();
		return quiet(this.#ready.wait());
	}

	/** Take a step; one with data is admitted already. It leaves with all others of this turn. */
	push(step: WriteStep): void {
		if (this.#isClosed) return;
		const { frames, bytes } = cost(step);
		this.#queue.push(step);
		this.#queuedFrames += frames;
		this.#queuedBytes += bytes;
		// Enough for a message of its own: nothing is gained by waiting for the end of the turn.
		if (this.#queuedFrames === this.#creditFrames) this.flush();
		if (this.#isFlushDue || this.#queue.length === 0) return;
		this.#isFlushDue = true;
		queueMicrotask(() => this.flush());
	}

	/**
	 * Whether a step with that many bytes may be pushed.
	 * @throws MoqError of kind `too-many-pending` when the caller ignored `ready` for too long.
	 */
	admit(bytes: number): void {
		const isFull = this.#queuedFrames + 1 > WRITE_BACKLOG.frames;
		const isLarge = this.#queuedFrames > 0 && this.#queuedBytes + bytes > WRITE_BACKLOG.bytes;
		if (!isFull && !isLarge) return;
		const message = `${this.#queuedFrames} frames (${this.#queuedBytes} bytes) wait to be written: await ready first`;
		throw failure("too-many-pending", message);
	}

	/** The bytes of a frame, or of what has another limit. @throws as {@link Outbox.admit}, and kind `too-large`. */
	bytes(data: FrameData, options: WriteOptions, noun = "frame", max = MAX_FRAME_BYTES): Uint8Array {
		return payload(data, options, (bytes) => {
			checkSize(bytes, noun, max);
			this.admit(bytes);
		});
	}

	/** Send nothing until {@link Outbox.release}. */
	hold(): void {
		this.#isHeld = true;
	}

	/** What the credit allows now, to be sent by the caller ahead of the port. */
	release(): WriteStep[] {
		this.#isHeld = false;
		return this.#take();
	}

	/** Send now what the credit allows. */
	flush(): void {
		this.#isFlushDue = false;
		if (this.#isClosed || this.#isHeld) return;
		const steps = this.#take();
		if (steps.length === 0) return;
		// The buffers are ours: copied from the caller, or handed over by it.
		const transfer = new Set(steps.flatMap((step) => ("data" in step ? [step.data.buffer] : [])));
		this.#port.postMessage({ type: "write", steps } satisfies WriterRequest, [...transfer] as Transferable[]);
	}

	/** Forget what has not left yet. */
	discard(): void {
		this.#queue = [];
		this.#queuedFrames = 0;
		this.#queuedBytes = 0;
	}

	/** No more traffic; whoever waits for `ready` gets `error`, or is let go. */
	close(error?: MoqError): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		this.discard();
		this.#port.onmessage = null;
		this.#port.close();
		if (error) this.#ready.fail(error);
		else this.#ready.drain();
	}

	#take(): WriteStep[] {
		let count = 0;
		for (const step of this.#queue) {
			const { frames, bytes } = cost(step);
			if (frames > 0 && (this.#creditFrames <= 0 || this.#creditBytes <= 0)) break;
			this.#creditFrames -= frames;
			this.#creditBytes -= bytes;
			this.#queuedFrames -= frames;
			this.#queuedBytes -= bytes;
			count++;
		}
		return this.#queue.splice(0, count);
	}

	get #isReady(): boolean {
		return this.#isClosed || (this.#queuedFrames < this.#creditFrames && this.#queuedBytes < this.#creditBytes);
	}

	#grant(frames: number, bytes: number): void {
		this.#creditFrames += frames;
		this.#creditBytes += bytes;
		this.flush();
		if (this.#isReady) this.#ready.drain();
	}
}
