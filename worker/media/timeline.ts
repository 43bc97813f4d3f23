/** Events remembered: 15 s of 60 a second. */
const CAPACITY = 900;

/** When the newest events of one kind happened. */
export class Timeline {
	readonly #times = new Float64Array(CAPACITY);
	#count = 0;

	/** Notes an event at `nowMs`; times never go back. */
	add(nowMs: number): void {
		this.#times[this.#count++ % CAPACITY] = nowMs;
	}

	/** All events so far. */
	get count(): number {
		return this.#count;
	}

	/** The events in `[fromMs, toMs]` that are still remembered, oldest first. */
	between(fromMs: number, toMs: number): number[] {
		const found: number[] = [];
		for (let i = Math.max(0, this.#count - CAPACITY); i < this.#count; i++) {
			const time = this.#times[i % CAPACITY] ?? 0;
			if (time >= fromMs && time <= toMs) found.push(time);
		}
		return found;
	}

	/** Longest time inside `[fromMs, toMs]` without an event. */
	longestGap(fromMs: number, toMs: number): number {
		let last = fromMs;
		let longest = 0;
		for (const time of [...this.between(fromMs, toMs), toMs]) {
			longest = Math.max(longest, time - last);
			last = time;
		}
		return longest;
	}
}
