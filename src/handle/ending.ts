import { failure, type MoqError } from "./error.ts";
import { quiet } from "./quiet.ts";

/** The end of a handle: it comes once, in peace or with an error, and is told to whoever wants to know. */
export class Ending {
	#isLive = true;
	#error: MoqError | undefined;
	#closed: Promise<void> | undefined;
	#settle: (() => void) | undefined;

	get isLive(): boolean {
		return this.#isLive;
	}

	/** What it ended with, if that was not in peace. */
	get error(): MoqError | undefined {
		return this.#error;
	}

	/** Resolves when it ended in peace, rejects otherwise. Never raises an unhandled rejection. */
	get closed(): Promise<void> {
		if (!this.#closed) {
			this.#closed = quiet(
				new Promise((resolve, reject) => {
					this.#settle = () => (this.#error ? reject(this.#error) : resolve());
				}),
			);
			if (!this.#isLive) this.#settle?.();
		}
		return this.#closed;
	}

	/** Why it cannot be used any more; `message` says so of a peaceful end. */
	reason(message: string): MoqError {
		return this.#error ?? failure("closed", message);
	}

	/** @throws its {@link Ending.reason}, once it has ended. */
	check(message: string): void {
		if (!this.#isLive) throw this.reason(message);
	}

	/** The first call ends it and is told so; `closed` settles with {@link Ending.tell}. */
	end(error: MoqError | undefined): boolean {
		if (!this.#isLive) return false;
		this.#isLive = false;
		this.#error = error;
		return true;
	}

	/** Settle `closed`. */
	tell(): void {
		this.#settle?.();
	}
}
