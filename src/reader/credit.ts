import type { Window } from "../../worker/protocol/limits.ts";

/**
 * What the worker may still send, seen from the page. Credit is given back in lumps, half a window at a time: a message
 * costs more than all the frames it pays for.
 */
export class Credit {
	readonly #window: Window;
	readonly #grant: (frames: number, bytes: number) => void;
	/** Granted and not yet used, as far as is known here. Below zero after an overdraft. */
	#frames: number;
	#bytes: number;
	/** Used up and read, not yet granted again. */
	#readFrames = 0;
	#readBytes = 0;

	/** The window counts as granted already. */
	constructor(window: Window, grant: (frames: number, bytes: number) => void) {
		this.#window = window;
		this.#grant = grant;
		this.#frames = window.frames;
		this.#bytes = window.bytes;
	}

	/** The worker used that much. */
	used(frames: number, bytes: number): void {
		this.#frames -= frames;
		this.#bytes -= bytes;
	}

	/** That much was read, or will never be. */
	read(frames: number, bytes: number): void {
		this.#readFrames += frames;
		this.#readBytes += bytes;
		if (this.#readFrames * 2 >= this.#window.frames || this.#readBytes * 2 >= this.#window.bytes) this.flush();
	}

	/** Give back what is due now: somebody waits and the worker may have run dry. */
	flush(): void {
		if (this.#readFrames === 0 && this.#readBytes === 0) return;
		this.#frames += this.#readFrames;
		this.#bytes += this.#readBytes;
		this.#grant(this.#readFrames, this.#readBytes);
		this.#readFrames = 0;
		this.#readBytes = 0;
	}

	/** True when the worker sends nothing more until it is granted something. */
	get isExhausted(): boolean {
		return this.#frames <= 0 || this.#bytes <= 0;
	}
}
