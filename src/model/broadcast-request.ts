import type { BroadcastAsked } from "../../worker/protocol/model.ts";
import { type Anchor, anchorOf } from "../handle/anchor.ts";
import * as argument from "../handle/argument.ts";
import type { Pending, WaitOptions } from "../handle/pending.ts";
import { DynamicRequest, type Question } from "../handle/question.ts";
import type { BroadcastConsumer } from "./broadcast-consumer.ts";
import { type BroadcastProducer, broadcastProducer } from "./broadcast-producer.ts";
import { Dynamic, type DynamicHandler, type RequestSource, requestSource } from "./dynamic.ts";

let broadcastRequest: (question: Question<BroadcastAsked>, among: Set<BroadcastProducer>) => BroadcastRequest;

/** A path that somebody wants and nobody announces. Closing it is `reject("not-found")`, unless it was answered. */
export class BroadcastRequest extends DynamicRequest {
	readonly #question: Question<BroadcastAsked>;
	/** What the origin was made to announce or accept. */
	readonly #among: Set<BroadcastProducer>;

	private constructor(question: Question<BroadcastAsked>, among: Set<BroadcastProducer>) {
		super(question);
		this.#question = question;
		this.#among = among;
	}

	static {
		broadcastRequest = (...args) => new BroadcastRequest(...args);
	}

	/** The full path, from the very root of the origin. */
	get path(): string {
		return this.#question.data.path;
	}

	/** Give everybody who waits a new broadcast, which is announced nowhere, and write it. */
	accept(): BroadcastProducer;
	/** Give everybody who waits this one, and those who ask for the path while it is open. It is not announced. */
	accept(broadcast: BroadcastConsumer | BroadcastProducer): void;
	accept(broadcast?: BroadcastConsumer | BroadcastProducer): BroadcastProducer | undefined {
		const question = this.#question;
		question.anchor.check();
		if (broadcast === undefined) {
			const make = (anchor: Anchor) => anchor.make("makeBroadcast", { broadcast: anchor.id });
			const at = { path: this.path, info: { hops: [] }, isOffered: false };
			const made = broadcastProducer(question.anchor.link, at, make, this.#among);
			question.answer("acceptBroadcast", { broadcast: anchorOf(made, "broadcast").id });
			return made;
		}
		question.answer("acceptBroadcast", { broadcast: anchorOf(broadcast, "broadcast", question.anchor.link).id });
		return undefined;
	}
}

/** Options of `dynamic` of an origin. */
export interface DynamicOptions {
	/** Serve only paths under this prefix. Default: every path. */
	prefix?: string;
}

/** Makes the object users hold. */
export let originDynamic: (
	origin: Anchor,
	handler: DynamicHandler<BroadcastRequest> | undefined,
	options: DynamicOptions,
	among: Set<BroadcastProducer>,
) => OriginDynamic;

/** Serves paths of an origin that nobody announces, to the page itself and to peers the origin is offered to. */
export class OriginDynamic extends Dynamic<BroadcastRequest> {
	private constructor(source: RequestSource<BroadcastRequest>) {
		super(source);
	}

	static {
		originDynamic = (origin, handler, { prefix }, among) => {
			const args = prefix === undefined ? {} : { prefix: argument.text("prefix", prefix) };
			const make = (question: Question<BroadcastAsked>) => broadcastRequest(question, among);
			return new OriginDynamic(requestSource(origin, args, make, handler));
		};
	}

	/** The next path somebody wants. */
	requestedBroadcast(options?: WaitOptions): Pending<BroadcastRequest> {
		return this.next(options);
	}
}
