import { disposeBy } from "./dispose.ts";
import { TypedEventTarget } from "./events.ts";

/** What is behind a {@link Handle}; made by the library. */
export interface Held {
	/** As {@link Handle.closed}. */
	readonly closed: Promise<void>;
	/** As {@link Handle.close}. */
	close(): void;
}

/** Something of the worker that a page holds until it is closed. `Events`: what it tells, where it tells anything. */
export abstract class Handle<Events extends object = Record<never, never>> extends TypedEventTarget<Events> {
	readonly #held: Held;

	/** Made by the library. */
	protected constructor(held: Held) {
		super();
		this.#held = held;
	}

	/**
	 * Resolves when it was closed or came to its natural end; rejects with what else ended it: a refusal to make it, the end
	 * of what it belongs to, or the death of the worker. Never raises an unhandled rejection.
	 */
	get closed(): Promise<void> {
		return this.#held.closed;
	}

	/** Let go of it. Calls that wait for it reject with a ClosedError; closing again does nothing. */
	close(): void {
		this.#held.close();
	}

	/** `close()`, for `using`; present where the engine has the symbol. */
	declare [Symbol.dispose]: () => void;
}

disposeBy(Handle, "close");
