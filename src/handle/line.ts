import { Pending, type WaitOptions } from "./pending.ts";

/** Someone who waits for the next item. */
interface Waiter<T> {
	/** What the read is of, and must not end by being collected. */
	owner?: object | undefined;
	resolve(item: T): void;
	reject(error: unknown): void;
}

/**
 * Readers that wait in line. Concurrent reads of one handle queue up here instead of failing, and one that gives up
 * leaves the line without a trace.
 */
export class Line<T> {
	readonly #waiters: Waiter<T>[] = [];

	get isEmpty(): boolean {
		return this.#waiters.length === 0;
	}

	/** Wait at the end of the line, as cheaply as a promise can. */
	wait(): Promise<T> {
		return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
	}

	/** Give an item to the first in line. */
	serve(item: T): void {
		this.#waiters.shift()?.resolve(item);
	}

	/** Send everybody away. */
	fail(error: unknown): void {
		for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
	}

	/** Serve everybody the same. */
	drain(item: T): void {
		for (const waiter of this.#waiters.splice(0)) waiter.resolve(item);
	}

	/** The next item, as a promise that is settled already when there is one. `take` and `wake` are as of {@link Line.read}. */
	next(take: () => { item: T } | undefined, wake: () => void): Promise<T> {
		try {
			const ready = this.isEmpty ? take() : undefined;
			if (ready) return Promise.resolve(ready.item);
		} catch (error) {
			return Promise.reject(error);
		}
		const item = this.wait();
		wake();
		return item;
	}

	/**
	 * The cancellable form of a read: `take` returns an item or undefined when there is none yet, and throws when there
	 * never will be; `wake`, if any, is called after the reader got in line; `map` makes what the caller
	 * gets, when that is not the item; `owner` is kept until the read is over.
	 */
	read<R = T>(
		how: { take: () => { item: T } | undefined; wake?: () => void; map?: ((item: T) => R) | undefined; owner?: object },
		options?: WaitOptions,
	): Pending<R> {
		const { map = (item: T) => item as unknown as R } = how;
		return new Pending((resolve, reject) => {
			const ready = this.isEmpty ? how.take() : undefined;
			if (ready) {
				resolve(map(ready.item));
				return undefined;
			}
			const waiter = { owner: how.owner, resolve: (item: T) => resolve(map(item)), reject };
			this.#waiters.push(waiter);
			how.wake?.();
			return () => {
				const at = this.#waiters.indexOf(waiter);
				if (at >= 0) this.#waiters.splice(at, 1);
			};
		}, options);
	}
}
