import type { RequestData } from "../../worker/protocol/model.ts";
import type { CallArgs } from "../link/link.ts";
import type { Anchor } from "./anchor.ts";
import { MoqError } from "./error.ts";
import { Handle, type Held } from "./handle.ts";
import type { Pending, WaitOptions } from "./pending.ts";
import { type RejectReason, rejection } from "./reason.ts";

type Answer = "rejectRequest" | "acceptBroadcast" | "acceptTrack" | "acceptGroup";

/** What is behind a {@link DynamicRequest}; made by the library. */
export interface Answerable extends Held {
	/** As {@link DynamicRequest.reject}. */
	reject(reason: RejectReason): void;
	/** As {@link DynamicRequest.unused}. */
	unused(options: WaitOptions | undefined): Pending<void>;
	/** Closed when this is collected. */
	hold(owner: object): void;
}

/** What somebody asks a {@link Dynamic} for. Answer it once; one that is closed or forgotten is rejected. */
export abstract class DynamicRequest extends Handle {
	readonly #question: Answerable;

	/** Made by the library. */
	protected constructor(question: Answerable) {
		super(question);
		this.#question = question;
		question.hold(this);
	}

	/** Fail everybody who waits. Who asks after that starts a new request. */
	reject(reason: RejectReason = "not-found"): void {
		this.#question.reject(reason);
	}

	/** Waits until nobody waits for the answer any more. */
	unused(options?: WaitOptions): Pending<void> {
		return this.#question.unused(options);
	}
}

/** What is behind every request: somebody waits for the one answer to it. */
export class Question<Data extends RequestData = RequestData> implements Answerable {
	readonly anchor: Anchor;
	readonly data: Data;

	constructor(anchor: Anchor, data: Data) {
		this.anchor = anchor;
		this.data = data;
	}

	get closed(): Promise<void> {
		return this.anchor.closed;
	}

	close(): void {
		this.anchor.close();
	}

	hold(owner: object): void {
		this.anchor.hold(owner);
	}

	/** Send the one answer. `refused` hears what is wrong with it, unless the handle it names does. @throws when there was one. */
	answer<Name extends Answer>(
		name: Name,
		args: Omit<CallArgs<Name>, "request">,
		refused: (error: MoqError) => void = () => undefined,
	): void {
		const { anchor } = this;
		anchor.check();
		const call = { ...args, request: anchor.id } as CallArgs<Name>;
		anchor.link.call(name, call, { reject: refused });
		// Frees the request if the answer was refused, and nothing otherwise: an answer uses it up.
		anchor.close();
	}

	reject(reason: RejectReason): void {
		this.answer("rejectRequest", { error: rejection(reason) });
	}

	unused(options: WaitOptions | undefined): Pending<void> {
		const request = this.anchor.id;
		return this.anchor.wait("requestUnused", (operation) => ({ operation, request }), options);
	}

	/** A handler threw this. */
	fail(error: unknown): void {
		if (!this.anchor.isLive) return;
		this.reject(error instanceof MoqError ? error : "dropped");
	}
}
