/**
 * When the core runs: once after each batch of inputs, when its timer is due, and again after a turn of the event loop
 * as long as it has more to do.
 */

/** How long inputs may be followed up within one turn of the event loop before everybody else gets a turn. */
const TURN_BUDGET_MS = 4;

/** In an endless chain of microtasks run follows upon run. After a pause like this the event loop was in between. */
const PAUSE_MS = 0.5;

/** A pause may also be somebody's slow microtask, so that this long after the last turn of our own there is one more. */
const TURN_EVERY_MS = 200;

/** Runs a poll function. The function returns when it wants to run again: now or earlier, later, or Infinity. */
export class Schedule {
	readonly #poll: (now: number) => number;
	readonly #channel = new MessageChannel();
	#queued: "no" | "microtask" | "turn" = "no";
	#turnBegan = Number.NEGATIVE_INFINITY;
	/** When the last turn began that was certainly one. */
	#yielded = Number.NEGATIVE_INFINITY;
	/** When the last run ended. */
	#ran = Number.NEGATIVE_INFINITY;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#timerAt = Number.POSITIVE_INFINITY;
	#closed = false;

	constructor(poll: (now: number) => number) {
		this.#poll = poll;
		// A message is a task of its own and costs microseconds; a timer would wait its 4 ms.
		this.#channel.port1.onmessage = () => {
			this.#began();
			this.#run();
		};
		unref(this.#channel.port1);
	}

	/** There is input: run soon. Many calls are one run. */
	wake(): void {
		if (this.#closed || this.#queued !== "no") return;
		// Reads resolve in microtasks, and following them up in microtasks without end would starve the event loop. But each
		// turn that is asked for costs as much as a run, and between the packets of a live track there are turns enough.
		const now = performance.now();
		if (now - this.#ran >= PAUSE_MS && now - this.#yielded < TURN_EVERY_MS) this.#turnBegan = now;
		if (now - this.#turnBegan >= TURN_BUDGET_MS) {
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
		this.#ran = performance.now();
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
		this.#began();
		if (this.#queued === "no") this.#run();
	}

	/** This is a task of the event loop: whatever waited for one has had its turn. */
	#began(): void {
		this.#turnBegan = performance.now();
		this.#yielded = this.#turnBegan;
	}
}

/** The platform's limit of a timer. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** In Node, where tests run, an idle core must not keep the process alive. */
function unref(handle: unknown): void {
	const unref = (handle as { unref?: unknown } | undefined)?.unref;
	if (typeof unref === "function") unref.call(handle);
}
