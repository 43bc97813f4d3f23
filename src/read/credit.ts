import type { Window } from "../../worker/protocol/limits.ts";
import { READ_FRAMES_MAX, READ_QUICK_MS, READ_SLOW_MS } from "../../worker/protocol/limits.ts";

/**
 * What the worker may still send, seen from the page. Credit is given back in lumps, half a window at a time: a message
 * costs more than all the frames it pays for.
 *
 * The window of frames follows the pace of the reader: one that keeps reading half of it at once gets twice as much,
 * one that takes its time gets half. So it holds a moment's worth of any track, and a reader that stops has little stale behind it.
 */
export class Credit {
	readonly #window: Window;
	readonly #grant: (frames: number, bytes: number) => void;
	readonly #now: () => number;
	/** The window of frames as it is now; never below the one it began with. */
	#size: number;
	/** When the last lump was given back, ms. */
	#lump: number;
	/** Quick lumps in a row: one window read in a burst is no pace. */
	#quick = 0;
	/** Granted and not yet used, as far as is known here. Below zero after an overdraft. */
	#frames: number;
	#bytes: number;
	/** Used up and read, not yet granted again. */
	#readFrames = 0;
	#readBytes = 0;

	/** The window counts as granted already. `now` is in milliseconds, from any start. */
	constructor(window: Window, grant: (frames: number, bytes: number) => void, now = () => performance.now()) {
		this.#window = window;
		this.#grant = grant;
		this.#now = now;
		this.#size = window.frames;
		this.#lump = now();
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
		if (this.#readFrames * 2 >= this.#size) {
			this.#resize();
			this.flush();
		} else if (this.#readBytes * 2 >= this.#window.bytes) {
			this.flush();
		}
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

	/** What the worker may send as far as is known here: for one that starts anew. */
	get rest(): { frames: number; bytes: number } {
		return { frames: Math.max(0, this.#frames), bytes: Math.max(0, this.#bytes) };
	}

	/** True when the worker sends nothing more until it is granted something. */
	get isExhausted(): boolean {
		return this.#frames <= 0 || this.#bytes <= 0;
	}

	/** Half the window was read: more is due when that was quick, and less when it was slow. */
	#resize(): void {
		const now = this.#now();
		const elapsed = now - this.#lump;
		this.#lump = now;
		this.#quick = elapsed < READ_QUICK_MS ? this.#quick + 1 : 0;
		if (this.#quick > 2 && this.#size < READ_FRAMES_MAX) {
			this.#readFrames += this.#size;
			this.#size *= 2;
		} else if (elapsed > READ_SLOW_MS && this.#size > this.#window.frames) {
			this.#size /= 2;
			// What was read is half of the old window, so this never takes more than it has.
			this.#readFrames = Math.max(0, this.#readFrames - this.#size);
		}
	}
}
