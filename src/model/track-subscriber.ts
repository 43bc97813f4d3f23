import type { GapData, SubscriptionData, TrackInfoData } from "../../worker/protocol/model.ts";
import type { Anchor } from "../handle/anchor.ts";
import * as argument from "../handle/argument.ts";
import { inUse, keeping } from "../handle/collected.ts";
import { failure, MoqError } from "../handle/error.ts";
import { Handle } from "../handle/handle.ts";
import { iteration, step } from "../handle/iteration.ts";
import { Pending, type WaitOptions } from "../handle/pending.ts";
import { quiet } from "../handle/quiet.ts";
import { type FrameStream, frameStream } from "../read/frame-stream.ts";
import { gapOf, type SubscriberStats } from "../read/gap.ts";
import type { GroupBuffer } from "../read/group-buffer.ts";
import type { Lanes } from "../read/lanes.ts";
import type { TrackReader } from "../read/track-reader.ts";
import type { Datagram, Frame } from "./frame.ts";
import { type GroupConsumer, groupConsumer } from "./group-consumer.ts";

/** What is behind a {@link TrackSubscriber} and exists from the moment of the call, before any confirmation. */
export interface SubscriptionState {
	readonly anchor: Anchor;
	readonly reader: TrackReader;
	readonly lanes: Lanes;
	readonly name: string;
	prefs: SubscriptionData;
}

/** Makes the object users hold. */
export let trackSubscriber: (state: SubscriptionState, info: TrackInfoData) => TrackSubscriber;

/** Kinds of a group's end that a flat stream of frames passes over. */
const SKIPPED: ReadonlySet<string> = new Set(["old", "lagged", "evicted", "dropped", "cancelled"]);

/** Events of a {@link TrackSubscriber}: a `CustomEvent` whose `detail` is of this type. */
export interface TrackSubscriberEventMap {
	/** Groups are missing. Comes after the group before them was given out and before the one behind them is. */
	gap: GapData;
	/** After the connection was made again another publisher is there, or the same one anew: it counts its groups from where it likes. */
	restart: undefined;
}

/**
 * A live subscription. Groups are given out in the order of their sequence ({@link TrackSubscriber.nextGroup}, iteration,
 * {@link TrackSubscriber.frames}, {@link TrackSubscriber.readFrame}) or of their arrival ({@link TrackSubscriber.recvGroup}),
 * whichever was called last; each once, to the call that asks first.
 *
 * In the order of sequence a group that is missing is waited for, at most `maxLatencyMs` from the arrival of a later one. Then
 * a `gap` event says which groups are missing and why, and reading goes on behind them. A group that stops arriving is given up by the same
 * rule: its iteration throws a MoqError of kind `old`, {@link TrackSubscriber.frames} tells a gap.
 *
 * Frames that are not read stay in the worker beyond a window of 64 frames or 4 MiB, as long as the track keeps groups.
 */
export class TrackSubscriber extends Handle<TrackSubscriberEventMap> {
	readonly #state: SubscriptionState;
	#closed: Promise<void> | undefined;
	#finished: Promise<number> | undefined;
	/** The properties the publisher gave the track. */
	readonly info: Readonly<TrackInfoData>;

	private constructor(state: SubscriptionState, info: TrackInfoData) {
		super(state.anchor);
		this.#state = state;
		this.info = info;
		// Weakly: what is behind this object must not keep it from being collected.
		const told = new WeakRef(this);
		state.lanes.onGap = (gap) => told.deref()?.emit("gap", gap);
		state.lanes.onRestart = () => told.deref()?.emit("restart", undefined);
		state.anchor.hold(this, "a TrackSubscriber was collected without close(): it kept receiving until then");
	}

	static {
		trackSubscriber = (state, info) => new TrackSubscriber(state, info);
	}

	/** The track's name. */
	get name(): string {
		return this.#state.name;
	}

	/** The preferences as last set here. */
	get subscription(): Readonly<SubscriptionData> {
		return this.#state.prefs;
	}

	/** Highest sequence that has arrived so far. */
	get latest(): number | undefined {
		return this.#state.lanes.latest;
	}

	/** Resolves when it was closed, or no further group will begin; rejects with what else ended it. */
	override get closed(): Promise<void> {
		this.#closed ??= quiet(Promise.race([super.closed, this.#state.lanes.finished().then(() => undefined)]));
		return this.#closed;
	}

	/** The sequence after the last group, once the publisher finished the track or all up to `groupEnd` was given out. */
	get finished(): Promise<number> {
		this.#finished ??= quiet(inUse(this, this.#state.lanes.finished()));
		return this.#finished;
	}

	/**
	 * Replace the preferences; absent members take their defaults.
	 * @throws UsageError naming the member that is wrong.
	 */
	update(prefs: SubscriptionData): void {
		update(this.#state, prefs);
	}

	/** Local floor: groups before `sequence` are not given out. The publisher is not told. */
	startAt(sequence: number): void {
		this.#state.reader.post({ type: "startAt", sequence: argument.whole("sequence", sequence) });
	}

	/** Local cap, inclusive: later groups are held back until it is raised, or removed with undefined. */
	endAt(sequence: number | undefined): void {
		argument.optionalWhole("sequence", sequence);
		this.#state.reader.post(sequence === undefined ? { type: "endAt" } : { type: "endAt", sequence });
	}

	/** What it gave so far: groups, gaps, and how many groups are missing in those. */
	stats(): SubscriberStats {
		return { ...this.#state.lanes.stats };
	}

	/** The next group in the order of sequences; missing ones are waited for. Undefined: the track is finished. */
	nextGroup(options?: WaitOptions): Pending<GroupConsumer | undefined> {
		return this.#state.lanes.readNext((group) => this.#consumer(group), options);
	}

	/** The next group in the order of arrival; none is waited for, and none comes too late. Undefined: the track is finished. */
	recvGroup(options?: WaitOptions): Pending<GroupConsumer | undefined> {
		return this.#state.lanes.readAny((group) => this.#consumer(group), options);
	}

	/**
	 * The next datagram, in the order of arrival; of those that nobody reads in time the oldest are lost. Each comes as a group of one
	 * frame as well. Undefined: the track is finished.
	 */
	recvDatagram(options?: WaitOptions): Pending<Datagram | undefined> {
		return this.#state.lanes.readDatagram(this, options);
	}

	/** Waits for one group. Undefined: the track ended without it. */
	getGroup(sequence: number, options?: WaitOptions): Pending<GroupConsumer | undefined> {
		return Pending.from(() =>
			this.#state.lanes.readGroup(argument.whole("sequence", sequence), (group) => this.#consumer(group), options),
		);
	}

	/** The first frame of the next group in the order of sequences that has one; the rest of that group is dropped. For one-frame groups. */
	readFrame(options?: WaitOptions): Pending<Frame | undefined> {
		return this.#state.lanes.readFrame(this, options);
	}

	/** Unsubscribe. Waiting reads reject with a ClosedError. */
	override close(): void {
		const { anchor, reader, lanes } = this.#state;
		if (!anchor.isLive) return;
		anchor.close();
		lanes.close(failure("closed", `the subscription to ${this.name} was closed`));
		reader.close();
	}

	/** Group by group, as {@link TrackSubscriber.nextGroup}. Leaving the loop early unsubscribes. */
	[Symbol.asyncIterator](): AsyncIterableIterator<GroupConsumer, undefined> {
		return iteration(
			async () => step(this.#consumer(await this.#state.lanes.next())),
			() => this.close(),
		);
	}

	#consumer(group: GroupBuffer | undefined): GroupConsumer | undefined {
		return group && keeping(groupConsumer(group), this);
	}

	/**
	 * All frames in one stream, group after group in the order of sequences; a group that is given up is told as a gap, like one that is
	 * missing. Nothing is read ahead. Cancelling the stream unsubscribes.
	 */
	frames(): FrameStream {
		const { lanes } = this.#state;
		let group: GroupBuffer | undefined;
		const next = async () => {
			for (;;) {
				group ??= await lanes.next();
				if (!group) return undefined;
				const frame = await fresh(group, lanes);
				if (frame) return frame;
				group = undefined;
			}
		};
		return frameStream(next, () => this.close());
	}
}

/** Set the preferences of a subscription that may still wait for its confirmation. */
export function update(state: SubscriptionState, prefs: SubscriptionData): void {
	state.prefs = argument.subscription(prefs);
	state.reader.post({ type: "update", prefs: state.prefs });
}

/** The next frame of a group, if there is one. */
async function fresh(group: GroupBuffer, lanes: Lanes): Promise<Frame | undefined> {
	try {
		return await group.next();
	} catch (error) {
		if (!(error instanceof MoqError && SKIPPED.has(error.kind))) throw error;
		lanes.tell(gapOf(group, error));
		return undefined;
	}
}
