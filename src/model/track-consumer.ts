import { READ_WINDOW } from "../../worker/protocol/limits.ts";
import type { SubscriptionData, TrackInfoData } from "../../worker/protocol/model.ts";
import { Anchor } from "../handle/anchor.ts";
import * as argument from "../handle/argument.ts";
import { keeping } from "../handle/collected.ts";
import { Handle } from "../handle/handle.ts";
import { Pending, type PendingStart, type WaitOptions } from "../handle/pending.ts";
import { FetchedGroup } from "../read/fetched-group.ts";
import { Lanes } from "../read/lanes.ts";
import { TrackReader } from "../read/track-reader.ts";
import { type GroupConsumer, groupConsumer } from "./group-consumer.ts";
import { type SubscriptionState, type TrackSubscriber, trackSubscriber, update } from "./track-subscriber.ts";

/** Options of {@link TrackConsumer.fetchGroup}. */
export interface FetchOptions extends WaitOptions {
	/** Higher preempts lower, 0…255. Default 0. */
	priority?: number;
	/** Index of the first frame wanted. Default 0. */
	frameStart?: number;
}

/** Makes the object users hold. */
export let trackConsumer: (anchor: Anchor, name: string) => TrackConsumer;

let pendingSubscription: (
	start: PendingStart<TrackSubscriber>,
	state: () => SubscriptionState | undefined,
	options: WaitOptions | undefined,
) => PendingSubscription;

/** A subscription that waits for its confirmation; its preferences can be changed meanwhile. */
export class PendingSubscription extends Pending<TrackSubscriber> {
	readonly #state: () => SubscriptionState | undefined;

	private constructor(
		start: PendingStart<TrackSubscriber>,
		state: () => SubscriptionState | undefined,
		options: WaitOptions | undefined,
	) {
		super(start, options);
		this.#state = state;
	}

	static {
		pendingSubscription = (start, state, options) => new PendingSubscription(start, state, options);
	}

	/**
	 * Replace the preferences. Once rejected or cancelled there is nothing to change and the call does nothing.
	 * @throws UsageError naming the member that is wrong.
	 */
	update(prefs: SubscriptionData): void {
		const state = this.#state();
		if (state) update(state, prefs);
		else argument.subscription(prefs);
	}
}

/**
 * A track to read from. Looking it up sends nothing; subscribing and fetching do, and what they gave outlives the handle.
 * `closed` rejects with a NotFoundError or DroppedError when the broadcast cannot serve it.
 */
export class TrackConsumer extends Handle {
	readonly #anchor: Anchor;
	/** The name it was looked up by. */
	readonly name: string;

	private constructor(anchor: Anchor, name: string) {
		super(anchor);
		this.#anchor = anchor;
		this.name = name;
		anchor.hold(this);
	}

	static {
		trackConsumer = (anchor, name) => new TrackConsumer(anchor, name);
	}

	/** The track's properties, once its publisher has accepted it. */
	info(options?: WaitOptions): Pending<TrackInfoData> {
		const track = this.#anchor.id;
		return this.#anchor.wait("trackInfo", (operation) => ({ operation, track }), options);
	}

	/**
	 * The sequence of the newest group. Where nothing of the track is received, a subscription of the lowest priority finds out and
	 * ends with the first group. Undefined: the track has no group; one that has not ended says so when none came within a second of
	 * its publisher's answer.
	 */
	latest(options?: WaitOptions): Pending<number | undefined> {
		const track = this.#anchor.id;
		return this.#anchor.wait(
			"trackLatest",
			(operation) => ({ operation, track }),
			options,
			(latest) => latest ?? undefined,
		);
	}

	/** Receive the track's groups as they are published. Resolves when the publisher confirmed. */
	subscribe(prefs: SubscriptionData & WaitOptions = {}): PendingSubscription {
		let state: SubscriptionState | undefined;
		const start: PendingStart<TrackSubscriber> = (resolve, reject) => {
			const checked = argument.subscription(prefs);
			this.#anchor.check();
			const opened = this.#open(checked);
			state = opened.state;
			const { anchor } = opened.state;
			const args = {
				subscription: anchor.id,
				track: this.#anchor.id,
				prefs: checked,
				credit: READ_WINDOW,
				port: opened.port,
			};
			anchor.link.call("subscribe", args, {
				resolve: (info) => resolve(keeping(trackSubscriber(opened.state, info), this)),
				reject: (error) => {
					anchor.fail(error);
					reject(error);
				},
			});
			return () => {
				state = undefined;
				anchor.close();
				opened.state.reader.close();
			};
		};
		return pendingSubscription(start, () => state, prefs);
	}

	/** One group from the cache of the worker: nobody is asked for it. Undefined: it is not there. */
	getGroup(sequence: number, options?: WaitOptions): Pending<GroupConsumer | undefined> {
		return this.#group("getGroup", sequence, () => ({}), options);
	}

	/**
	 * One group, whether it is cached or has to be asked from the publisher; no subscription is needed. Resolves when
	 * the group begins to arrive. Rejects with a NotFoundError, at once where nobody can serve it.
	 */
	fetchGroup(sequence: number, options: FetchOptions = {}): Pending<GroupConsumer> {
		const more = () => ({
			priority: argument.optionalWhole("priority", options.priority, 255),
			frameStart: argument.optionalWhole("frameStart", options.frameStart),
		});
		// The worker gives one, or fails.
		return this.#group("fetchGroup", sequence, more, options) as Pending<GroupConsumer>;
	}

	/** One group by either call. An answer that is false says that it is not there. */
	#group(
		call: "getGroup" | "fetchGroup",
		sequence: number,
		more: () => { priority?: number | undefined; frameStart?: number | undefined },
		options: WaitOptions | undefined,
	): Pending<GroupConsumer | undefined> {
		return new Pending<GroupConsumer | undefined>((resolve, reject) => {
			const asked = { track: this.#anchor.id, sequence: argument.whole("sequence", sequence), ...more() };
			this.#anchor.check();
			const fetched = new FetchedGroup(this.#anchor.link, { resolve: (group) => resolve(give(group, this)), reject });
			this.#anchor.link.call(
				call,
				{ ...fetched.args(), ...asked },
				{
					resolve: (isThere: unknown) => {
						if (isThere !== false) return;
						fetched.cancel();
						resolve(undefined);
					},
					reject: (error) => fetched.fail(error),
				},
			);
			return () => fetched.cancel();
		}, options);
	}

	#open(prefs: SubscriptionData): { state: SubscriptionState; port: MessagePort } {
		const anchor = new Anchor(this.#anchor.link, "subscription");
		const { port1, port2 } = new MessageChannel();
		const lanes = new Lanes((error) => (error ? anchor.fail(error) : anchor.close()));
		const reader = new TrackReader(port1, READ_WINDOW, lanes);
		lanes.reader = reader;
		anchor.onEnd((error) => error && reader.fail(error));
		return { state: { anchor, reader, lanes, name: this.name, prefs }, port: port2 };
	}
}

function give(group: FetchedGroup, track: TrackConsumer): GroupConsumer {
	return keeping(groupConsumer(group.buffer, group.anchor), track);
}
