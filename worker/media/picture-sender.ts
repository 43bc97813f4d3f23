import { listen, pictureReply } from "../door/ports.ts";
import type { ErrorData } from "../protocol/error.ts";
import type { Orientation, PictureMessage } from "../protocol/media.ts";

/** Pictures that may exist between decoder and screen: more would only be old, and decoders have few buffers to give. */
export const MAX_OUTSTANDING = 4;

/**
 * Hands pictures to the render worker and never waits for it. A picture that was posted cannot be called back, so one place
 * is kept here, for the newest: while the render worker is held up, it is replaced and the older one closed.
 */
export class PictureSender {
	readonly #port: MessagePort;
	#posted = 0;
	#newest: VideoFrame | undefined;
	#overtaken = 0;

	/** `refuse` is told of a reply that is none. */
	constructor(port: MessagePort, refuse: (error: ErrorData) => void) {
		this.#port = port;
		listen(port, pictureReply, () => this.#done(), refuse);
	}

	/** Pictures closed here because newer ones came before the render worker had time for them. */
	get overtaken(): number {
		return this.#overtaken;
	}

	/** Takes ownership of `frame`. */
	send(frame: VideoFrame): void {
		if (this.#posted < MAX_OUTSTANDING - 1) {
			this.#post(frame);
			return;
		}
		if (this.#newest) {
			this.#newest.close();
			this.#overtaken++;
		}
		this.#newest = frame;
	}

	orient(orientation: Orientation): void {
		this.#port.postMessage({ type: "orientation", orientation } satisfies PictureMessage);
	}

	close(): void {
		this.#newest?.close();
		this.#newest = undefined;
		this.#port.close();
	}

	#post(frame: VideoFrame): void {
		this.#posted++;
		// The render worker owns the picture from here on.
		this.#port.postMessage({ type: "picture", frame } satisfies PictureMessage, [frame]);
	}

	#done(): void {
		this.#posted--;
		const next = this.#newest;
		this.#newest = undefined;
		if (next) this.#post(next);
	}
}
