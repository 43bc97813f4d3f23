import type { Operation } from "../core/api.ts";

/** Collects what has to be undone when something ends: handles, operations that wait, timers. Undone last first. */
export class Scope {
	#undo: Set<() => void> | undefined = new Set();

	get isClosed(): boolean {
		return this.#undo === undefined;
	}

	/** Remembers `undo` for the end; runs it at once when the end has come. Call the result to forget it again. */
	add(undo: () => void): () => void {
		if (!this.#undo) {
			undo();
			return () => {};
		}
		this.#undo.add(undo);
		return () => this.#undo?.delete(undo);
	}

	/** Waits for an operation of the core; the end of the scope withdraws it, which rejects with kind `cancelled`. */
	async wait<T>(operation: Operation<T>): Promise<T> {
		const forget = this.add(() => operation.cancel());
		try {
			return await operation.result;
		} finally {
			forget();
		}
	}

	/** Resolves after `ms`, or never when the scope ends first. */
	sleep(ms: number): Promise<void> {
		return new Promise((resolve) => {
			const timer = setTimeout(() => {
				forget();
				resolve();
			}, ms);
			const forget = this.add(() => clearTimeout(timer));
		});
	}

	/** Undoes everything. One undo that throws does not keep the others from running; the first error is thrown at the end. */
	close(): void {
		const undo = [...(this.#undo ?? [])].reverse();
		this.#undo = undefined;
		const errors: unknown[] = [];
		for (const step of undo) {
			try {
				step();
			} catch (error) {
				errors.push(error);
			}
		}
		if (errors.length > 0) throw errors[0];
	}
}
