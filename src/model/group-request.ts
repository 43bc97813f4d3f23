import { WRITE_WINDOW } from "../../worker/protocol/limits.ts";
import type { GroupAsked, TrackInfoData } from "../../worker/protocol/model.ts";
import { Anchor } from "../handle/anchor.ts";
import * as argument from "../handle/argument.ts";
import { errorFrom, failure } from "../handle/error.ts";
import type { Pending, WaitOptions } from "../handle/pending.ts";
import { DynamicRequest, type Question } from "../handle/question.ts";
import { GroupWriter } from "../write/group-writer.ts";
import { Outbox } from "../write/outbox.ts";
import { Dynamic, type DynamicHandler, type RequestSource, requestSource } from "./dynamic.ts";
import { type GroupProducer, groupProducer } from "./group-producer.ts";

let groupRequest: (question: Question<GroupAsked>, isTimed: boolean | undefined) => GroupRequest;

/** One old group that somebody wants. Closing it is `reject("dropped")`, unless it was answered. */
export class GroupRequest extends DynamicRequest {
	readonly #question: Question<GroupAsked>;
	readonly #isTimed: boolean | undefined;

	private constructor(question: Question<GroupAsked>, isTimed: boolean | undefined) {
		super(question);
		this.#question = question;
		this.#isTimed = isTimed;
	}

	static {
		groupRequest = (question, isTimed) => new GroupRequest(question, isTimed);
	}

	/** The group. */
	get sequence(): number {
		return this.#question.data.sequence;
	}

	/** The highest priority of all who wanted it when it was asked for, 0…255. */
	get priority(): number {
		return this.#question.data.priority;
	}

	/** The first frame that any of them wants. */
	get frameStart(): number {
		return this.#question.data.frameStart;
	}

	/**
	 * Write the group, from frame 0 on: everybody who waits gets it, and later ones too while it is cached. `info` gives the track
	 * its properties if it was not accepted yet, and is ignored otherwise. A refusal (the group has come meanwhile, the track is
	 * over) rejects the group's `closed`.
	 */
	accept(info: TrackInfoData = {}): GroupProducer {
		const checked = argument.trackInfo(info);
		const { link } = this.#question.anchor;
		this.#question.anchor.check();
		const anchor = new Anchor(link, "group");
		const { port1, port2 } = new MessageChannel();
		const outbox = new Outbox(port1, WRITE_WINDOW, (event) => {
			if (event.type === "groupError") writer.fail(errorFrom(event.error));
			else if (event.type === "end") anchor.close();
		});
		const place = { number: 1, sequence: this.sequence, isTimed: this.#isTimed };
		const writer = new GroupWriter(outbox, place, () => undefined);
		anchor.onEnd((error) => {
			writer.fail(error ?? failure("closed", `group ${this.sequence} has ended`));
			outbox.close(error);
		});
		// Refused, the group says so; the answer cannot, which nobody holds.
		this.#question.answer("acceptGroup", { group: anchor.id, info: checked, port: port2 }, (error) =>
			anchor.fail(error),
		);
		return groupProducer(writer);
	}
}

/** Makes the object users hold; `isTimed` where the properties of the track are known. */
export let trackDynamic: (
	track: Anchor,
	isTimed: boolean | undefined,
	handler: DynamicHandler<GroupRequest> | undefined,
	isBound?: boolean,
) => TrackDynamic;

/** Serves old groups of a track that are not cached any more: while it lives, they can be fetched. */
export class TrackDynamic extends Dynamic<GroupRequest> {
	private constructor(source: RequestSource<GroupRequest>) {
		super(source);
	}

	static {
		trackDynamic = (track, isTimed, handler, isBound) => {
			const make = (question: Question<GroupAsked>) => groupRequest(question, isTimed);
			return new TrackDynamic(requestSource(track, {}, make, handler, isBound));
		};
	}

	/** The next group somebody wants. */
	requestedGroup(options?: WaitOptions): Pending<GroupRequest> {
		return this.next(options);
	}
}
