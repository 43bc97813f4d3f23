import type { Id } from "../../worker/protocol/control.ts";
import { READ_WINDOW, type Window } from "../../worker/protocol/limits.ts";
import { Anchor } from "../handle/anchor.ts";
import { failure, type MoqError } from "../handle/error.ts";
import type { Link } from "../link/link.ts";
import type { GroupBuffer } from "./group-buffer.ts";
import { type ReaderListener, TrackReader } from "./track-reader.ts";

/** One group that is on its way on a port of its own. */
export class FetchedGroup implements ReaderListener {
	readonly anchor: Anchor;
	readonly #reader: TrackReader;
	readonly #port: MessagePort;
	readonly #outcome: { resolve: (group: FetchedGroup) => void; reject: (error: MoqError) => void };
	#buffer: GroupBuffer | undefined;
	#isSettled = false;

	/** `outcome` learns when the group begins, or why it never will. */
	constructor(link: Link, outcome: { resolve: (group: FetchedGroup) => void; reject: (error: MoqError) => void }) {
		this.anchor = new Anchor(link, "group");
		this.#outcome = outcome;
		const { port1, port2 } = new MessageChannel();
		this.#port = port2;
		this.#reader = new TrackReader(port1, READ_WINDOW, this);
		this.anchor.onEnd((error) => error && this.#reader.fail(error));
	}

	/** What the worker is told of it; the port can be transferred once. */
	args(): { group: Id; credit: Window; port: MessagePort } {
		return { group: this.anchor.id, credit: READ_WINDOW, port: this.#port };
	}

	/** The frames. Only after `resolve`. */
	get buffer(): GroupBuffer {
		if (!this.#buffer) throw new RangeError("the group has not begun");
		return this.#buffer;
	}

	/** It is not wanted any more. */
	cancel(): void {
		this.#isSettled = true;
		this.anchor.withdraw();
		this.#reader.close();
	}

	/** It will not come. */
	fail(error: MoqError): void {
		this.anchor.fail(error);
	}

	group(group: GroupBuffer): void {
		this.#buffer = group;
		if (this.#isSettled) return;
		this.#isSettled = true;
		this.#outcome.resolve(this);
	}

	end(error: MoqError | undefined): void {
		if (!this.#isSettled) {
			this.#isSettled = true;
			this.#outcome.reject(error ?? failure("dropped", "the group ended before it began"));
		}
		if (error) this.anchor.fail(error);
		else this.anchor.close();
	}
}
