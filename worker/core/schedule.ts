/**
 * When the core runs: once after each batch of inputs, when its timer is due, and again after a turn of the event loop
 * as long as it has more to do.
 */

/** How long inputs may be followed up within one turn of the event loop before everybody else gets a turn. */
const TURN_BUDGET_MS = 4;

/** Runs a poll function. The function returns when it wants to run again: now or earlier, later, or Infinity. */
export class Schedule {
	readonly #poll: (now: number) => number;
	readonly #channel = new MessageChannel();
	#queued: "no" | "microtask" | "turn" = "no";
	#turnBegan = Number.NEGATIVE_INFINITY;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#timerAt = Number.POSITIVE_INFINITY;
	#closed = false;

	constructor(poll: (now: number) => number) {
		this.#poll = poll;
		// A message is a task of its own and costs microseconds; a timer would wait its 4 ms.
		this.#channel.port1.onmessage = () => {
			this.#turnBegan = performance.now();
			this.#run();
		};
		unref(this.#channel.port1);
	}

	/** There is input: run soon. Many calls are one run. */
	wake(): void {
		if (this.#closed || this.#queued !== "no") return;
		// Reads resolve in microtasks, and following them up in microtasks without end would starve the event loop.
		if (performance.now() - this.#turnBegan >= TURN_BUDGET_MS) {
			this.#yield();
			return;
		}
		this.#queued = "microtask";
		queueMicrotask(() => this.#run());
	}

	/** Never run again. */
	close(): void {
		this.#closed = true;
		clearTimeout(this.#timer);
		this.#channel.port1.close();
	}

	#yield(): void {
		this.#queued = "turn";
		this.#channel.port2.postMessage(null);
	}

	#run(): void {
		if (this.#closed) return;
		const now = performance.now();
		// Inputs from here on ask for another run: the poll may not have seen them.
		this.#queued = "no";
		const again = this.#poll(now);
		if (this.#closed) return;
		if (again <= now) {
			// A microtask that was asked for meanwhile is enough only if it does not make the chain endless.
			if (this.#queued === "no") this.#yield();
		} else this.#arm(again, now);
	}

	/** One timer for the earliest deadline; a later deadline lets it fire early once rather than re-arm each time. */
	#arm(at: number, now: number): void {
		if (at >= this.#timerAt) return;
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.#timerAt = at;
		// Longer delays overflow and would fire at once.
		this.#timer = setTimeout(() => this.#due(), Math.min(Math.max(at - now, 0), MAX_DELAY_MS));
		unref(this.#timer);
	}

	#due(): void {
		this.#timer = undefined;
		this.#timerAt = Number.POSITIVE_INFINITY;
		this.#turnBegan = performance.now();
		if (this.#queued === "no") this.#run();
	}
}

/** The platform's limit of a timer. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** In Node, where tests run, an idle core must not keep the process alive. */
function unref(handle: unknown): void {
	const unref = (handle as { unref?: unknown } | undefined)?.unref;
	if (typeof unref === "function") unref.call(handle);
}
