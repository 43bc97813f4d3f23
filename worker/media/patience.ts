/** Failures within {@link WINDOW_MS} that are tried again before they count as lasting. */
const LIMIT = 3;
const WINDOW_MS = 10_000;

/** Tells a hiccup from something that stays broken: three failures in ten seconds are forgiven, the fourth is not. */
export class Patience {
	#failures: number[] = [];

	/** Notes a failure; false when it was one too many. */
	forgives(): boolean {
		const now = performance.now();
		this.#failures = this.#failures.filter((at) => now - at < WINDOW_MS);
		this.#failures.push(now);
		return this.#failures.length <= LIMIT;
	}
}
