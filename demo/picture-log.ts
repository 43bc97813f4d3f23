import type { DrawnPicture } from "moq-worker/media";

/** Pictures remembered; a person may leave the page open for days. */
const REMEMBERED = 10_000;

/** What was drawn, by the numbers read from the pictures themselves. */
export class PictureLog {
	/** Different frame counters seen. */
	frames = 0;
	/** Capture to drawn of each of them, ms, oldest first. */
	readonly latenciesMs: number[] = [];
	readonly #seen = new Set<number>();
	readonly #drawnMs: number[] = [];

	add({ counter, latencyMs, drawnMs }: DrawnPicture): void {
		if (counter === undefined || latencyMs === undefined || this.#seen.has(counter)) return;
		this.frames++;
		this.#seen.add(counter);
		this.latenciesMs.push(latencyMs);
		this.#drawnMs.push(drawnMs);
		if (this.#seen.size <= REMEMBERED) return;
		for (const oldest of this.#seen) {
			this.#seen.delete(oldest);
			break;
		}
		this.latenciesMs.shift();
		this.#drawnMs.shift();
	}

	/** Different frames drawn per second, over the two seconds before the newest. */
	get fps(): number {
		const newest = this.#drawnMs.at(-1);
		if (newest === undefined) return 0;
		return this.#drawnMs.filter((time) => time > newest - 2000).length / 2;
	}

	/** Median of the newest sixty, ms. */
	get latencyMs(): number | null {
		const recent = this.latenciesMs.slice(-60).sort((a, b) => a - b);
		return recent[Math.floor(recent.length / 2)] ?? null;
	}
}
