import type { CoreApi, Handle } from "../core/api.ts";
import { asErrorData } from "../failure.ts";
import type { ErrorData } from "../protocol/error.ts";
import type { SubscriptionData } from "../protocol/model.ts";
import { readBatch } from "../rpc/batch.ts";

/** What a subscribed track gives, in the order it arrived. `gid` names a group inside this subscription. */
export interface TrackReaderEvents {
	/** False: not wanted; nothing more of the group is sent. */
	group(gid: number, sequence: number, firstFrame: number): boolean;
	/** `data` is the receiver's to keep. */
	frame(gid: number, data: Uint8Array<ArrayBuffer>): void;
	/** Nothing more of the group follows, whether it was finished or failed. */
	groupEnd(gid: number): void;
	/** Everything that had arrived was told. Time to work on it, and to `release` credit. */
	idle(): void;
	/** Last event. Absent error: the track was finished. */
	end(error?: ErrorData): void;
}

/** Frames and bytes that may be on their way or unread. */
const READER_WINDOW = { frames: 64, bytes: 4 * 1024 * 1024 };

/** One subscription, read inside the worker. Credit flows back when the owner says that it has room. */
export class TrackReader {
	readonly #core: CoreApi;
	readonly #events: TrackReaderEvents;
	readonly #track: Handle;
	readonly #subscription: Handle;
	readonly #batches: ArrayBuffer[] = [];
	readonly #usedUp = { frames: 0, bytes: 0 };
	#ended: { error?: ErrorData } | undefined;
	#isScheduled = false;
	#isClosed = false;

	/** Subscribes at once. Throws the core's `ErrorData` when the broadcast has no such track. */
	constructor(core: CoreApi, broadcast: Handle, name: string, prefs: SubscriptionData, events: TrackReaderEvents) {
		this.#core = core;
		this.#events = events;
		this.#track = core.track(broadcast, name);
		const pending = core.subscribe(this.#track, prefs, {
			batch: (buffer, frames, bytes) => {
				this.#batches.push(buffer);
				this.#usedUp.frames += frames;
				this.#usedUp.bytes += bytes;
				this.#schedule();
			},
			end: (error) => {
				this.#ended = error ? { error } : {};
				this.#schedule();
			},
		});
		this.#subscription = pending.handle;
		// The owner puts groups in order by its own clock: a missing one holds back none that is here.
		core.setOrder(this.#subscription, true);
		core.grant(this.#subscription, READER_WINDOW.frames, READER_WINDOW.bytes);
	}

	/** Gives back all credit that was used up: the owner has room for as much again. */
	release(): void {
		const { frames, bytes } = this.#usedUp;
		if (this.#isClosed || this.#ended || frames === 0) return;
		this.#usedUp.frames = 0;
		this.#usedUp.bytes = 0;
		this.#core.grant(this.#subscription, frames, bytes);
	}

	/** Lets one record of this group through although the credit may be used up by its siblings. */
	want(gid: number): void {
		if (!this.#isClosed && !this.#ended && this.#usedUp.frames > 0) this.#core.want(this.#subscription, gid);
	}

	/** Nothing more of this group is wanted. */
	skip(gid: number): void {
		if (!this.#isClosed && !this.#ended) this.#core.skip(this.#subscription, gid);
	}

	close(): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		this.#batches.length = 0;
		this.#core.free(this.#subscription);
		this.#core.free(this.#track);
	}

	/** The core must not be called from inside its own callback, so the work is done right after. */
	#schedule(): void {
		if (this.#isScheduled) return;
		this.#isScheduled = true;
		queueMicrotask(() => {
			this.#isScheduled = false;
			if (this.#isClosed) return;
			try {
				this.#work();
			} catch (error) {
				// What fails here is this track's affair, not the worker's.
				this.close();
				this.#events.end(asErrorData(error));
			}
		});
	}

	#work(): void {
		for (const buffer of this.#batches.splice(0)) this.#read(buffer);
		if (!this.#isClosed) this.#events.idle();
		if (!this.#isClosed && this.#ended) this.#events.end(this.#ended.error);
	}

	#read(buffer: ArrayBuffer): void {
		for (const record of readBatch(buffer)) {
			if (this.#isClosed) return;
			switch (record.type) {
				case "group":
					if (!this.#events.group(record.gid, record.sequence, record.firstFrame)) this.skip(record.gid);
					break;
				case "frame":
					this.#events.frame(record.gid, record.data);
					break;
				case "groupEnd":
				case "groupError":
					this.#events.groupEnd(record.gid);
					break;
				case "trackEnd":
					// The end of the subscription says the same once the open groups are over.
					break;
				case "gap":
				case "datagram":
					// Neither was asked for.
					break;
				default:
					record satisfies never;
			}
		}
	}
}
