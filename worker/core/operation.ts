/** What waits in the core, by the number the core knows it by. */

import type { ErrorData } from "../protocol/error.ts";
import type { Handle, Operation } from "./api.ts";

/** How the core settled an operation. */
export type Outcome =
	| { type: "done" }
	| { type: "handle"; handle: number }
	| { type: "json"; text: string }
	| { type: "error"; error: ErrorData };

interface Entry {
	settle(outcome: Outcome): void;
	reject(error: ErrorData): void;
}

/** Every operation settles exactly once: by the core, by cancelling, or with everything else. */
export class Operations {
	readonly #entries = new Map<number, Entry>();
	readonly #withdraw: (id: number) => void;

	/** `withdraw` tells the core that nobody waits any more. */
	constructor(withdraw: (id: number) => void) {
		this.#withdraw = withdraw;
	}

	get size(): number {
		return this.#entries.size;
	}

	/** Track operation `id`; `read` makes its result from the outcome of a success. */
	add<T>(id: number, read: (outcome: Outcome) => T): Operation<T> {
		let entry: Entry | undefined;
		const result = new Promise<T>((resolve, reject) => {
			entry = {
				settle: (outcome) => {
					if (outcome.type === "error") return reject(outcome.error);
					try {
						resolve(read(outcome));
					} catch (error) {
						reject(error);
					}
				},
				reject,
			};
			this.#entries.set(id, entry);
		});
		result.catch(ignore);
		return { result, cancel: () => this.#cancel(id) };
	}

	/** False: nobody waits for it any more, so a handle in the outcome is nobody's. */
	settle(id: number, outcome: Outcome): boolean {
		const entry = this.#entries.get(id);
		this.#entries.delete(id);
		entry?.settle(outcome);
		return entry !== undefined;
	}

	/** The core is gone. */
	rejectAll(error: ErrorData): void {
		const entries = [...this.#entries.values()];
		this.#entries.clear();
		for (const entry of entries) entry.reject(error);
	}

	#cancel(id: number): void {
		const entry = this.#entries.get(id);
		if (!entry) return;
		this.#entries.delete(id);
		this.#withdraw(id);
		entry.reject({ kind: "cancelled", message: "cancelled by the caller" });
	}
}

/** An operation whose call failed at once. */
export function refused<T>(error: ErrorData): Operation<T> {
	const result = Promise.reject<T>(error);
	result.catch(ignore);
	return { result, cancel: ignore };
}

/** The handle an operation resulted in. @throws ErrorData */
export function handle(outcome: Outcome): Handle {
	if (outcome.type === "handle") return outcome.handle;
	throw mismatch(outcome);
}

/** The value an operation resulted in. @throws ErrorData */
export function json<T>(outcome: Outcome): T {
	if (outcome.type === "json") return JSON.parse(outcome.text) as T;
	throw mismatch(outcome);
}

/** An operation that results in nothing. @throws ErrorData */
export function nothing(outcome: Outcome): void {
	if (outcome.type !== "done") throw mismatch(outcome);
}

function mismatch(outcome: Outcome): ErrorData {
	return { kind: "internal", message: `an operation settled as "${outcome.type}"` };
}

function ignore(): void {}
