import type { SubscriptionData, TrackAsked, TrackInfoData } from "../../worker/protocol/model.ts";
import type { Anchor } from "../handle/anchor.ts";
import * as argument from "../handle/argument.ts";
import type { Pending, WaitOptions } from "../handle/pending.ts";
import { DynamicRequest, type Question } from "../handle/question.ts";
import type { TrackWriter } from "../write/track-writer.ts";
import { Dynamic, type DynamicHandler, type RequestSource, requestSource } from "./dynamic.ts";
import { type GroupRequest, type TrackDynamic, trackDynamic } from "./group-request.ts";
import { type TrackProducer, trackProducer } from "./track-producer.ts";

let trackRequest: (question: Question<TrackAsked>, among: Set<TrackProducer>) => TrackRequest;

/** One track that somebody wants. Closing it is `reject("dropped")`, unless it was answered. */
export class TrackRequest extends DynamicRequest {
	readonly #question: Question<TrackAsked>;
	/** The tracks of the broadcast. */
	readonly #among: Set<TrackProducer>;

	private constructor(question: Question<TrackAsked>, among: Set<TrackProducer>) {
		super(question);
		this.#question = question;
		this.#among = among;
	}

	static {
		trackRequest = (...args) => new TrackRequest(...args);
	}

	/** The name that was asked for. */
	get name(): string {
		return this.#question.data.name;
	}

	/** What all who subscribe to it ask for together, as last heard; undefined: nobody subscribes. */
	get subscription(): Readonly<SubscriptionData> | undefined {
		return this.#question.data.subscription ?? undefined;
	}

	/** Waits until that differs from what this method last gave; null when the last subscriber left. */
	subscriptionChanged(options?: WaitOptions): Pending<SubscriptionData | null> {
		const { anchor, data } = this.#question;
		return anchor.wait(
			"requestSubscription",
			(operation) => ({ operation, request: anchor.id }),
			options,
			(subscription) => {
				data.subscription = subscription;
				return subscription;
			},
		);
	}

	/**
	 * Confirm the track and fix its properties: everybody who waits goes on.
	 * @throws UsageError naming the member of `info` that is wrong, ClosedError when it was answered.
	 */
	accept(info: TrackInfoData = {}): TrackProducer {
		const checked = argument.trackInfo(info);
		const question = this.#question;
		question.anchor.check();
		const make = (anchor: Anchor, port: MessagePort, writer: TrackWriter) => {
			question.answer("acceptTrack", { producer: anchor.id, info: checked, port }, (error) => anchor.fail(error));
			writer.begin();
		};
		return trackProducer(question.anchor.link, this.name, checked, make, this.#among);
	}

	/** Serve old groups of the track on request, before and after it is accepted. */
	dynamic(handler?: DynamicHandler<GroupRequest>): TrackDynamic {
		// The track goes on when the request was answered.
		return trackDynamic(this.#question.anchor, undefined, handler, false);
	}
}

/** Makes the object users hold. */
export let broadcastDynamic: (
	broadcast: Anchor,
	handler: DynamicHandler<TrackRequest> | undefined,
	among: Set<TrackProducer>,
) => BroadcastDynamic;

/** Serves tracks of a broadcast that nobody has created, until either is closed. */
export class BroadcastDynamic extends Dynamic<TrackRequest> {
	private constructor(source: RequestSource<TrackRequest>) {
		super(source);
	}

	static {
		broadcastDynamic = (broadcast, handler, among) => {
			const make = (question: Question<TrackAsked>) => trackRequest(question, among);
			return new BroadcastDynamic(requestSource(broadcast, {}, make, handler));
		};
	}

	/** The next track somebody wants. */
	requestedTrack(options?: WaitOptions): Pending<TrackRequest> {
		return this.next(options);
	}
}
