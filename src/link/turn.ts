import type { BatchedCall, CommandName, Refusal } from "../../worker/protocol/control.ts";

interface Entry {
	call: BatchedCall;
	complete: (() => void) | undefined;
	resolve(value: undefined): void;
	reject(error: unknown): void;
}

/**
 * The commands of one turn of the page. They travel in one message and are carried out in one step of the core, so that no peer sees
 * a broadcast without the tracks that were made with it.
 */
export class Turn {
	readonly #send: (calls: BatchedCall[]) => Promise<Refusal[]>;
	#entries: Entry[] = [];

	/** `send` makes the message; it answers with the refusals. */
	constructor(send: (calls: BatchedCall[]) => Promise<Refusal[]>) {
		this.#send = send;
	}

	/** Add a command; `complete` runs right before it leaves. Rejects when it is refused. */
	add(name: CommandName, args: object, complete?: () => void): Promise<undefined> {
		return new Promise((resolve, reject) => {
			if (this.#entries.length === 0) queueMicrotask(() => this.flush());
			this.#entries.push({ call: { name, args }, complete, resolve, reject });
		});
	}

	/** Send what there is: the turn is over, or a call that is no command has to come after it. */
	flush(): void {
		const entries = this.#entries;
		if (entries.length === 0) return;
		this.#entries = [];
		for (const { complete } of entries) complete?.();
		this.#send(entries.map(({ call }) => call)).then(
			(refusals) => {
				for (const { at, error } of refusals) entries[at]?.reject(error);
				for (const { resolve } of entries) resolve(undefined);
			},
			(error: unknown) => {
				for (const { reject } of entries) reject(error);
			},
		);
	}
}
