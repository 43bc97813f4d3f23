import type { Id } from "../../worker/protocol/control.ts";
import { MAX_PENDING_CALLS, MAX_QUEUED_CALLS } from "../../worker/protocol/limits.ts";

/** A question that ends by itself: the worker answers it, or gives it up at its deadline. */
export interface Ask {
	/** What it makes in the worker, or is withdrawn by. */
	id: Id;
	/** What it needs there. */
	uses: Id;
	send(): void;
	/** It was withdrawn before it was sent. */
	withdrawn(): void;
}

type Queued = { type: "ask"; ask: Ask } | { type: "release"; send: () => void };

/**
 * Questions that wait on the page while the worker has as many as it may: first come, first served. What lets go of a handle that a
 * waiting question needs waits behind it, so the worker hears everything in the order of the calls.
 */
export class CallQueue {
	/** In the order of the calls, by the id that each makes or lets go of. */
	readonly #queued = new Map<Id, Queued>();
	/** How many waiting questions need an id. */
	readonly #uses = new Map<Id, number>();
	#asked = 0;

	/** Questions, and what waits behind them. */
	get size(): number {
		return this.#queued.size;
	}

	/** Send it now, or when its turn comes. False: there is no room. */
	add(ask: Ask): boolean {
		if (this.#queued.size === 0 && this.#asked < MAX_PENDING_CALLS) {
			this.#asked++;
			ask.send();
			return true;
		}
		if (this.#queued.size >= MAX_QUEUED_CALLS) return false;
		this.#queued.set(ask.id, { type: "ask", ask });
		this.#uses.set(ask.uses, (this.#uses.get(ask.uses) ?? 0) + 1);
		return true;
	}

	/** One that was sent has its answer. */
	answered(): void {
		this.#asked--;
		for (const [id, queued] of this.#queued) {
			if (queued.type === "ask" && this.#asked >= MAX_PENDING_CALLS) return;
			this.#queued.delete(id);
			if (queued.type === "ask") {
				this.#asked++;
				this.#unuse(queued.ask);
				queued.ask.send();
			} else queued.send();
		}
	}

	/** Let go of `id` by `send`, unless that is a question nobody has sent. */
	release(id: Id, send: () => void): void {
		const queued = this.#queued.get(id);
		if (queued?.type === "ask") {
			this.#queued.delete(id);
			this.#unuse(queued.ask);
			queued.ask.withdrawn();
		} else if (this.#uses.has(id)) this.#queued.set(id, { type: "release", send });
		else send();
	}

	/** The worker is gone: nothing is sent any more. */
	clear(): void {
		this.#queued.clear();
		this.#uses.clear();
	}

	#unuse({ uses }: Ask): void {
		const left = (this.#uses.get(uses) ?? 0) - 1;
		if (left > 0) this.#uses.set(uses, left);
		else this.#uses.delete(uses);
	}
}
