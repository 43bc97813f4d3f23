import { signal as signalOf } from "./argument.ts";
import { asyncDisposeBy, disposeBy, tag } from "./dispose.ts";
import { errorFromUnknown, failure, type MoqError } from "./error.ts";

/** How far a {@link Pending} is. */
export type PendingStatus = "pending" | "fulfilled" | "rejected";

/** Options of every call that waits. */
export interface WaitOptions {
	/**
	 * Aborting is the same as `cancel()`: the call rejects with a {@link CancelledError}, or with a {@link TimeoutError} when the
	 * signal is that of `AbortSignal.timeout()`. Its `cause` is the signal's reason.
	 */
	signal?: AbortSignal | undefined;
}

/** What a call rejects with whose signal was aborted. */
function abortion({ reason }: AbortSignal): MoqError {
	const { name, message } = (reason ?? {}) as { name?: unknown; message?: unknown };
	if (name === "TimeoutError") return failure("timeout", "the time of the signal ran out", reason);
	const why = typeof reason === "string" ? reason : message;
	return failure("cancelled", `the signal was aborted${typeof why === "string" && why ? `: ${why}` : ""}`, reason);
}

/**
 * Starts the work and says how to withdraw it. Throwing rejects at once. Withdrawing takes effect before it returns and
 * makes later settling harmless: what arrives late is released by whoever started it.
 */
export type PendingStart<T> = (
	resolve: (value: T) => void,
	reject: (error: unknown) => void,
) => (() => void) | undefined;

interface Settle<T> {
	resolve: (value: T) => void;
	reject: (error: unknown) => void;
}

/**
 * Something that waits, and can be withdrawn. Await it like a promise; every `then` gets the same object. It is what React's `use` takes, as
 * long as the caller keeps it: one that is made while rendering is another one each time.
 *
 * A pending that is rejected or cancelled and never awaited raises no unhandled rejection.
 */
export class Pending<T> implements PromiseLike<T> {
	readonly #promise: Promise<T>;
	#status: PendingStatus = "pending";
	#value: T | undefined;
	#reason: unknown;
	#withdraw: (() => void) | undefined;
	#settle: Settle<T> | undefined;
	#unlisten: (() => void) | undefined;

	/** Wrap work of your own; the calls of this library make their own. */
	constructor(start: PendingStart<T>, options: WaitOptions = {}) {
		this.#promise = new Promise((resolve, reject) => {
			this.#settle = { resolve, reject };
		});
		this.#promise.catch(() => undefined);
		try {
			const signal = signalOf(options);
			if (signal?.aborted) {
				this.#reject(abortion(signal));
				return;
			}
			const withdraw = start(
				(value) => this.#fulfil(value),
				(error) => this.#reject(error),
			);
			if (this.#status !== "pending") return;
			this.#withdraw = withdraw;
			if (!signal) return;
			const abort = () => this.#abandon(abortion(signal));
			signal.addEventListener("abort", abort, { once: true });
			this.#unlisten = () => signal.removeEventListener("abort", abort);
		} catch (error) {
			this.#reject(errorFromUnknown(error));
		}
	}

	/** What `make` returns; a pending that is rejected already when it throws. */
	static from<T>(make: () => Pending<T>): Pending<T> {
		try {
			return make();
		} catch (error) {
			return new Pending(() => {
				throw error;
			});
		}
	}

	/** Without awaiting; up to date before any `then` callback runs. One that was cancelled is rejected. */
	get status(): PendingStatus {
		return this.#status;
	}

	/** What it was fulfilled with. */
	get value(): T | undefined {
		return this.#value;
	}

	/** Why it was rejected: a {@link MoqError}. */
	get reason(): unknown {
		return this.#reason;
	}

	/**
	 * Stop waiting and release what was asked for, in this turn. Whoever awaits gets a {@link CancelledError} with
	 * `reason` as its cause. No effect once settled.
	 */
	cancel(reason?: unknown): void {
		if (this.#status !== "pending") return;
		const message = typeof reason === "string" ? reason : "cancelled by the caller";
		this.#abandon(failure("cancelled", message, reason));
	}

	/** As of a promise. */
	// biome-ignore lint/suspicious/noThenProperty: a Pending is awaited, that is its purpose.
	then<A = T, B = never>(
		onfulfilled?: ((value: T) => A | PromiseLike<A>) | null,
		onrejected?: ((error: unknown) => B | PromiseLike<B>) | null,
	): Promise<A | B> {
		return this.#promise.then(onfulfilled, onrejected);
	}

	/** As of a promise. */
	catch<B = never>(onrejected?: ((error: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
		return this.#promise.catch(onrejected);
	}

	/** As of a promise. */
	finally(onfinally?: (() => void) | null): Promise<T> {
		return this.#promise.finally(onfinally);
	}

	/** `cancel()`, for `using`; present where the engine has the symbol. */
	declare [Symbol.dispose]: () => void;
	/** `cancel()`, for `await using`; present where the engine has the symbol. */
	declare [Symbol.asyncDispose]: () => Promise<void>;

	#abandon(reason: unknown): void {
		const withdraw = this.#withdraw;
		const settle = this.#finish("rejected");
		if (!settle) return;
		withdraw?.();
		this.#reason = reason;
		settle.reject(reason);
	}

	#fulfil(value: T): void {
		const settle = this.#finish("fulfilled");
		if (!settle) return;
		this.#value = value;
		settle.resolve(value);
	}

	#reject(error: unknown): void {
		const settle = this.#finish("rejected");
		if (!settle) return;
		this.#reason = error;
		settle.reject(error);
	}

	/** The one transition. Returns the resolvers to the first caller only. */
	#finish(status: PendingStatus): Settle<T> | undefined {
		const settle = this.#settle;
		if (!settle) return undefined;
		this.#status = status;
		this.#settle = undefined;
		this.#withdraw = undefined;
		this.#unlisten?.();
		this.#unlisten = undefined;
		return settle;
	}
}

tag(Pending, "Pending");
disposeBy(Pending, "cancel");
asyncDisposeBy(Pending, "cancel");

/** Work that is stopped by a signal. `begin` throws what is wrong before it has begun. */
export function running<T>(begin: () => (signal: AbortSignal) => Promise<T>, options: WaitOptions): Pending<T> {
	return new Pending((resolve, reject) => {
		const work = begin();
		const controller = new AbortController();
		work(controller.signal).then(resolve, reject);
		return () => controller.abort();
	}, options);
}
