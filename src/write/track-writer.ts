import { MAX_DATAGRAM_BYTES, type Window } from "../../worker/protocol/limits.ts";
import type { SubscriptionData } from "../../worker/protocol/model.ts";
import type { WriterEvent, WriteStep } from "../../worker/protocol/port.ts";
import type { Anchor } from "../handle/anchor.ts";
import * as argument from "../handle/argument.ts";
import { errorFrom, failure, type MoqError } from "../handle/error.ts";
import { Line } from "../handle/line.ts";
import type { Pending, WaitOptions } from "../handle/pending.ts";
import { type RejectReason, rejection } from "../handle/reason.ts";
import type { FrameData, WriteOptions } from "../model/payload.ts";
import { checkTimestamp, GroupWriter } from "./group-writer.ts";
import { Outbox } from "./outbox.ts";

/** The page's state of one track that is being written. Sequences are made up here: nobody else writes to the track. */
export class TrackWriter {
	/** Highest sequence written so far. */
	latest: number | undefined;
	/** The aggregate of all subscriptions as last heard. */
	subscription: SubscriptionData | undefined;
	readonly #ended = new Line<void>();
	/** Resolves when the worker has taken the end of the track. */
	readonly done = this.#ended.wait();
	/** Whether the page has ended the track, and whether everything up to that has arrived. */
	#end: "open" | "sent" | "arrived" = "open";
	/** Let go of it as soon as the end has arrived. */
	#isClosing = false;
	readonly #outbox: Outbox;
	readonly #anchor: Anchor;
	readonly #isTimed: boolean;
	readonly #groups = new Map<number, GroupWriter>();
	readonly #changes = new Line<SubscriptionData | null>();
	readonly #usedLine = new Line<void>();
	readonly #unusedLine = new Line<void>();
	#nextGroup = 1;
	/** What `subscriptionChanged` has not given out yet. */
	#change: { subscription: SubscriptionData | null } | undefined;
	#isUsed = false;

	readonly #warn: (warning: MoqError) => void;

	/** The worker counts credit from the same `window`. `warn` is told of what readers may miss. */
	constructor(port: MessagePort, window: Window, anchor: Anchor, isTimed: boolean, warn: (warning: MoqError) => void) {
		this.#warn = warn;
		this.#anchor = anchor;
		this.#isTimed = isTimed;
		this.#outbox = new Outbox(port, window, (event) => this.#receive(event));
	}

	get ready(): Promise<void> {
		return this.#outbox.ready;
	}

	/** Keep all steps until {@link TrackWriter.release} gives them out, to travel with the call that makes the track. */
	hold(): void {
		this.#outbox.hold();
	}

	/** The steps so far, as far as the credit goes. Those that follow leave by the port. */
	release(): WriteStep[] {
		return this.#outbox.release();
	}

	/** Tell the worker when this turn is over. */
	begin(): void {
		this.#outbox.push({ type: "begun" });
	}

	/** A group with this sequence, or the one after the newest. */
	group(sequence: number = this.#next()): GroupWriter {
		argument.whole("sequence", sequence);
		this.#check();
		const number = this.#nextGroup++;
		this.#outbox.push({ type: "group", group: number, sequence });
		const place = { number, sequence, isTimed: this.#isTimed };
		const group = new GroupWriter(this.#outbox, place, (ended) => this.#groups.delete(ended), this.#warn);
		this.#groups.set(number, group);
		this.#wrote(sequence);
		return group;
	}

	/** A group of one frame. */
	single(data: FrameData, timestamp: number | undefined, options: WriteOptions): number {
		this.#check();
		checkTimestamp(timestamp, this.#isTimed);
		const bytes = this.#outbox.bytes(data, options);
		const sequence = this.#next();
		const group = this.#nextGroup++;
		this.#outbox.push({ type: "group", group, sequence });
		this.#outbox.push({ type: "frame", group, data: bytes, timestamp });
		this.#outbox.push({ type: "groupEnd", group });
		this.#wrote(sequence);
		return sequence;
	}

	/** A datagram under the next sequence. */
	datagram(data: FrameData, timestamp: number | undefined, options: WriteOptions): number {
		this.#check();
		checkTimestamp(timestamp, this.#isTimed);
		const bytes = this.#outbox.bytes(data, options, "datagram", MAX_DATAGRAM_BYTES);
		const sequence = this.#next();
		this.#outbox.push({ type: "datagram", sequence, data: bytes, timestamp });
		this.#wrote(sequence);
		return sequence;
	}

	finish(): void {
		this.#check();
		this.#end = "sent";
		this.#outbox.push({ type: "finish" });
	}

	finishAt(sequence: number): void {
		argument.whole("sequence", sequence);
		this.#check();
		this.#end = "sent";
		this.#outbox.push({ type: "finishAt", sequence });
	}

	abort(reason: RejectReason): void {
		const error = rejection(reason);
		this.#check();
		this.#end = "sent";
		// What has not left yet is of no use to any reader. The worker aborts the groups that it knows to be open.
		this.#outbox.discard();
		this.#outbox.push({ type: "abort", error });
		for (const group of [...this.#groups.values()]) group.abandon();
	}

	subscriptionChanged(owner: object, options?: WaitOptions): Pending<SubscriptionData | null> {
		const take = () => {
			const change = this.#change;
			if (!change) {
				this.#anchor.check();
				return undefined;
			}
			this.#change = undefined;
			return { item: change.subscription };
		};
		return this.#changes.read({ take, owner }, options);
	}

	waitUsed(isUsed: boolean, owner: object, options?: WaitOptions): Pending<void> {
		const take = () => {
			this.#anchor.check();
			return this.#isUsed === isUsed ? { item: undefined } : undefined;
		};
		const line = isUsed ? this.#usedLine : this.#unusedLine;
		return line.read({ take, owner }, options);
	}

	/** The handle ended: by the user, by a refusal, or because all was written. */
	end(error: MoqError | undefined): void {
		const reason = error ?? failure("closed", "the track was closed");
		for (const group of [...this.#groups.values()]) group.fail(reason);
		this.#outbox.close(error);
		this.#changes.fail(reason);
		this.#usedLine.fail(reason);
		this.#unusedLine.fail(reason);
	}

	#receive(event: Exclude<WriterEvent, { type: "grant" }>): void {
		switch (event.type) {
			case "groupError": {
				const error = errorFrom(event.error);
				const group = this.#groups.get(event.group);
				// The end of a group that is finished here was told already, and a frame by itself or a datagram has no handle.
				if (group) group.fail(error);
				else this.#warn(error);
				return;
			}
			case "subscription":
				this.subscription = event.subscription ?? undefined;
				if (this.#changes.isEmpty) this.#change = { subscription: event.subscription };
				else this.#changes.drain(event.subscription);
				return;
			case "used":
				this.#isUsed = event.used;
				(event.used ? this.#usedLine : this.#unusedLine).drain();
				return;
			case "end":
				if (event.error) this.#anchor.fail(errorFrom(event.error));
				else this.#arrived();
				return;
			default:
				event satisfies never;
		}
	}

	/** Let go of the track. An end that is on its way gets there first: it travels on another port than the release. */
	close(reason?: RejectReason): void {
		if (reason !== undefined && this.#end === "open" && this.#anchor.isLive) this.abort(reason);
		if (this.#end === "sent") this.#isClosing = true;
		else this.#anchor.close();
	}

	#arrived(): void {
		this.#end = "arrived";
		this.#ended.drain();
		if (this.#isClosing) this.#anchor.close();
	}

	#next(): number {
		return this.latest === undefined ? 0 : this.latest + 1;
	}

	#wrote(sequence: number): void {
		if (this.latest === undefined || sequence > this.latest) this.latest = sequence;
	}

	#check(): void {
		this.#anchor.check();
		if (this.#end !== "open") throw failure("closed", "the track was finished");
	}
}
