/** One core of the wasm instance, behind the one door through which every call goes. */

import type { Core as Raw } from "../../wasm/bindings/pkg/core.js";
import type { ErrorData } from "../protocol/error.ts";
import type { Memory } from "./memory.ts";

/** Calls the core until it crashes; after that nobody does. */
export class Instance {
	readonly memory: Memory;
	readonly #raw: Raw;
	readonly #onCrash: (error: ErrorData) => void;
	#dead: ErrorData | undefined;
	#panic = "";

	/** `create` is given where the panic hook reports to, before the trap that follows a panic. */
	constructor(
		memory: Memory,
		create: (panic: { report(text: string): void }) => Raw,
		onCrash: (error: ErrorData) => void,
	) {
		this.memory = memory;
		this.#onCrash = onCrash;
		this.#raw = create({
			report: (text) => {
				this.#panic = text;
			},
		});
	}

	/** Why no call is possible any more, if so. */
	get dead(): ErrorData | undefined {
		return this.#dead;
	}

	/** Call the core. Everything thrown is ErrorData. */
	call<T>(work: (raw: Raw) => T): T {
		if (this.#dead) throw this.#dead;
		try {
			return work(this.#raw);
		} catch (error) {
			// The core throws its own errors as JSON text; anything else is a trap.
			if (typeof error === "string") throw JSON.parse(error) as ErrorData;
			throw this.#crash(error);
		}
	}

	/** The caller is done with this core. */
	close(): void {
		if (this.#dead) return;
		this.call((raw) => raw.free());
		this.#dead = { kind: "closed", message: "the core was closed" };
	}

	#crash(error: unknown): ErrorData {
		const text = this.#panic || (error instanceof Error ? `${error.name}: ${error.message}` : String(error));
		const data: ErrorData = { kind: "worker-crashed", message: `the core crashed: ${text}` };
		this.#dead = data;
		this.#onCrash(data);
		return data;
	}
}
