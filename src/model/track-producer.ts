import { WRITE_WINDOW } from "../../worker/protocol/limits.ts";
import type { SubscriptionData, TrackInfoData } from "../../worker/protocol/model.ts";
import { Anchor } from "../handle/anchor.ts";
import { keeping } from "../handle/collected.ts";
import type { MoqError } from "../handle/error.ts";
import { Handle } from "../handle/handle.ts";
import type { Pending, WaitOptions } from "../handle/pending.ts";
import { quiet } from "../handle/quiet.ts";
import type { RejectReason } from "../handle/reason.ts";
import type { Link } from "../link/link.ts";
import { TrackWriter } from "../write/track-writer.ts";
import type { DynamicHandler } from "./dynamic.ts";
import { type GroupProducer, groupProducer } from "./group-producer.ts";
import { type GroupRequest, type TrackDynamic, trackDynamic } from "./group-request.ts";
import type { FrameData, WriteOptions } from "./payload.ts";
import { type PendingSubscription, type TrackConsumer, trackConsumer } from "./track-consumer.ts";

/** One frame for {@link TrackProducer.writable}. */
export interface FrameInit extends WriteOptions {
	/** The payload. */
	data: FrameData;
	/** In the track's timescale units; given exactly when the track is timed. */
	timestamp?: number;
	/** False: append to the group of the frame before. Default true: a new group begins with this frame. */
	newGroup?: boolean;
}

/** Events of a {@link TrackProducer}. */
export interface TrackProducerEventMap {
	/**
	 * Readers may miss something of what is written; the message says what. Kind `too-large`: a group has more frames or bytes than
	 * are kept of one, told once for each such group. Any other kind: a frame, a datagram or a group that was finished already was
	 * refused; a group that is still being written says that by its `closed` instead.
	 */
	warning: MoqError;
}

/** Makes the object users hold; `make` makes it in the worker, to which the port belongs. It is `among` its like until it ends. */
export let trackProducer: (
	link: Link,
	name: string,
	info: TrackInfoData,
	make: (anchor: Anchor, port: MessagePort, writer: TrackWriter) => void,
	among: Set<TrackProducer>,
) => TrackProducer;

/**
 * Writes one track of a broadcast. Writing returns at once; {@link TrackProducer.ready} tells when to go on.
 *
 * Of one group 8192 frames and 32 MiB are kept: beyond that its oldest frames go, and a "warning" event says so. Start a new
 * group before that.
 */
export class TrackProducer extends Handle<TrackProducerEventMap> {
	readonly #anchor: Anchor;
	readonly #writer: TrackWriter;
	#closed: Promise<void> | undefined;
	/** Its name in the broadcast. */
	readonly name: string;
	/** Its properties. */
	readonly info: Readonly<TrackInfoData>;

	private constructor(
		link: Link,
		name: string,
		info: TrackInfoData,
		make: (anchor: Anchor, port: MessagePort, writer: TrackWriter) => void,
		among: Set<TrackProducer>,
	) {
		const anchor = new Anchor(link, "track");
		super(anchor);
		this.name = name;
		this.info = info;
		const { port1, port2 } = new MessageChannel();
		this.#anchor = anchor;
		// The writer may outlive the object, which it must not keep.
		const told = new WeakRef(this);
		this.#writer = new TrackWriter(port1, WRITE_WINDOW, anchor, info.timescale !== undefined, (warning) =>
			told.deref()?.emit("warning", warning),
		);
		among.add(this);
		make(anchor, port2, this.#writer);
		anchor.onEnd((error) => {
			this.#writer.end(error);
			among.delete(this);
		});
		anchor.hold(this);
	}

	static {
		trackProducer = (...args) => new TrackProducer(...args);
	}

	/** Highest sequence written so far. */
	get latest(): number | undefined {
		return this.#writer.latest;
	}

	/**
	 * Resolves when it was finished and all was handed over, aborted here, or closed; rejects when it was refused or
	 * failed.
	 */
	override get closed(): Promise<void> {
		this.#closed ??= quiet(Promise.race([super.closed, this.#writer.done]));
		return this.#closed;
	}

	/** Resolves when the next frame can leave at once. Await it between writes to keep the page's memory flat. */
	get ready(): Promise<void> {
		return this.#writer.ready;
	}

	/** What all subscribers together ask for, as last heard; undefined: there is none. */
	get subscription(): Readonly<SubscriptionData> | undefined {
		return this.#writer.subscription;
	}

	/** Waits until that differs from what this method last gave; null when the last subscriber left. */
	subscriptionChanged(options?: WaitOptions): Pending<SubscriptionData | null> {
		return this.#writer.subscriptionChanged(this, options);
	}

	/** Waits until somebody holds the track. */
	used(options?: WaitOptions): Pending<void> {
		return this.#writer.waitUsed(true, this, options);
	}

	/** Waits until nobody holds the track. */
	unused(options?: WaitOptions): Pending<void> {
		return this.#writer.waitUsed(false, this, options);
	}

	/** A new group after the newest one. */
	appendGroup(): GroupProducer {
		return keeping(groupProducer(this.#writer.group()), this);
	}

	/** A group with this sequence, in any order; the group is refused when it is taken. */
	createGroup(sequence: number): GroupProducer {
		return keeping(groupProducer(this.#writer.group(sequence)), this);
	}

	/**
	 * A new group of one frame; returns its sequence. `timestamp` is given exactly when the track is timed.
	 * @throws ClosedError after the end, UsageError for a wrong argument, kind `too-many-pending` when `ready` was ignored.
	 */
	writeFrame(data: FrameData, timestamp?: number, options: WriteOptions = {}): number {
		return this.#writer.single(data, timestamp, options);
	}

	/**
	 * Send a datagram under the next sequence, which is returned: best effort, to whoever is there, never as a stream. Where the
	 * version or the transport has none it is lost.
	 * @throws as {@link TrackProducer.writeFrame}, and kind `too-large` above 1140 bytes.
	 */
	writeDatagram(data: FrameData, timestamp?: number, options: WriteOptions = {}): number {
		return this.#writer.datagram(data, timestamp, options);
	}

	/**
	 * No further group. Readers end cleanly once they have read what there is; that stays available until the track or
	 * its broadcast is closed.
	 */
	finish(): void {
		this.#writer.finish();
	}

	/** No further group; `sequence` is the last and newest one. */
	finishAt(sequence: number): void {
		this.#writer.finishAt(sequence);
	}

	/** Give the track up; readers get the reason: for a number an error of kind `app` with that code, 0…65535. */
	abort(reason: RejectReason = 0): void {
		this.#writer.abort(reason);
	}

	/** A reader of this track inside the page. */
	consume(): TrackConsumer {
		const producer = this.#anchor.id;
		const anchor = this.#anchor.derive("track", "consumeTrack", (track) => ({ track, producer }));
		return keeping(trackConsumer(anchor, this.name), this);
	}

	/** Receive the track inside the page. */
	subscribe(prefs?: SubscriptionData & WaitOptions): PendingSubscription {
		// A producer that has ended says why on the pending.
		const track = this.#anchor.isLive ? this.consume() : trackConsumer(this.#anchor, this.name);
		const subscribing = track.subscribe(prefs);
		track.close();
		return subscribing;
	}

	/** Serve old groups that are not cached any more: with a handler, or by asking the result for requests. */
	dynamic(handler?: DynamicHandler<GroupRequest>): TrackDynamic {
		return keeping(trackDynamic(this.#anchor, this.info.timescale !== undefined, handler), this);
	}

	/**
	 * The track as a sink of frames, or of their payloads alone: `file.stream().pipeTo(track.writable())`. Closing the stream finishes the
	 * track, aborting it aborts the track.
	 */
	writable(): WritableStream<FrameInit | FrameData> {
		let group: GroupProducer | undefined;
		return new WritableStream<FrameInit | FrameData>(
			{
				write: async (frame) => {
					const isInit = typeof frame === "object" && "data" in frame;
					const { data, timestamp, newGroup, ...options }: FrameInit = isInit ? frame : { data: frame };
					if (newGroup !== false || !group) {
						group?.finish();
						group = this.appendGroup();
					}
					group.writeFrame(data, timestamp, options);
					await this.ready;
				},
				close: () => {
					group?.finish();
					this.finish();
				},
				abort: () => this.abort(),
			},
			{ highWaterMark: 1 },
		);
	}

	/** Let go of it. Unless it was finished before, its readers see it fail: with `reason`, as by {@link TrackProducer.abort}. */
	override close(reason?: RejectReason): void {
		this.#writer.close(reason);
	}
}
