/**
 * What the rest of the worker programs against: the core as a synchronous object with numeric handles.
 *
 * Calls take effect at once and never wait for the network; whatever has to wait is an `Operation`. Everything thrown
 * or rejected is an `ErrorData`. After the core crashed every call throws `worker-crashed`, and whatever was pending
 * has been rejected with it.
 */

import type { ErrorData } from "../protocol/error.ts";
import type {
	AnnounceEvent,
	BroadcastInfoData,
	CloseData,
	CoreStats,
	Rejection,
	RequestData,
	SessionStatsData,
	SubscriptionData,
	TrackInfoData,
	Version,
} from "../protocol/model.ts";
import type { OpenTransport } from "./transport.ts";

/** Names one object in the core. Generation-checked: a freed handle never means a newer object. Never 0. */
export type Handle = number;

/** Something that waits. Dropping it does not cancel it. */
export interface Operation<T> {
	/** Settles exactly once. It has a handler already: ignoring it raises no unhandled rejection. */
	readonly result: Promise<T>;
	/** Withdraw: `result` rejects with kind `cancelled` and the core lets go in the same turn. No effect once settled. */
	cancel(): void;
}

/** A subscription whose confirmation may still be on its way. The handle works from the start. */
export interface PendingSubscription extends Operation<TrackInfoData> {
	/** For `updateSubscription`, `startAt`, `endAt`, `grant`, `want`, `skip` and `free`. */
	readonly handle: Handle;
}

/** Where the frames of one subscription or fetch go. */
export interface Sink {
	/**
	 * At most once per turn of the core. The buffer is the sink's to keep or transfer; its format is
	 * `worker/rpc/batch.ts`. `frames` and `bytes` are the credit it used up.
	 */
	batch(buffer: ArrayBuffer, frames: number, bytes: number): void;
	/** Exactly once and last, unless the handle was freed first: then never. Absent error: a clean end. */
	end(error?: ErrorData): void;
}

/** One event of an announce stream. */
export interface AnnounceRecord {
	/** Path relative to the prefix root of the origin handle. */
	path: string;
	event: AnnounceEvent;
	/** A broadcast consumer that belongs to the receiver, who frees it. Absent for `ended`. */
	broadcast?: Handle;
	/** Ids of the origins the broadcast passed, first hop first. */
	hops: string[];
}

/** Where announcements go. */
export interface AnnounceListener {
	event(record: AnnounceRecord): void;
	/** The origin is gone. Not called after the listener was freed. */
	end(): void;
}

/** What a connection carries. Absent origin: that half is off. */
export interface ConnectConfig {
	/** Origin whose broadcasts are offered to the peer. */
	publish?: Handle;
	/** Origin that receives the peer's broadcasts. */
	consume?: Handle;
	/** Acceptable versions, newest first. */
	versions: readonly Version[];
}

/** An established session. */
export interface Connected {
	session: Handle;
	version: Version;
}

/** A request that somebody has to answer. */
export interface Asked {
	request: Handle;
	data: RequestData;
}

/** The core. Handles are typed: using one for the wrong call throws kind `usage`. */
export interface CoreApi {
	/** A new, empty origin. */
	createOrigin(): Handle;
	/** Replays what is announced under `prefix`, then streams changes, one entry per path at most waiting. Free to stop. */
	announced(origin: Handle, prefix: string, listener: AnnounceListener): Handle;
	/** The broadcast announced now, or served by a dynamic handler; rejects `not-found` otherwise. */
	requestBroadcast(origin: Handle, path: string): Operation<Handle>;
	/** Waits until the path is announced. */
	waitForBroadcast(origin: Handle, path: string): Operation<Handle>;

	/** The same origin, limited to what lies under the prefixes. Throws `unauthorized` when none of it is in reach. */
	scopeOrigin(origin: Handle, prefixes: readonly string[]): Handle;
	/** The same origin with paths relative to `root`. Throws `unauthorized` when nothing under it is in reach. */
	rootOrigin(origin: Handle, root: string): Handle;

	/** A producer that is announced nowhere, for whoever is given it. */
	makeBroadcast(): Handle;
	/**
	 * A producer, announced under `path` until freed; `hops` where it came from elsewhere. With `isPlanned` it is announced by
	 * `announceBroadcast`. For a second after that, requests for tracks it has not got wait for them.
	 */
	createBroadcast(origin: Handle, path: string, hops?: readonly string[], isPlanned?: boolean): Handle;
	/** Announce a producer that was planned. Throws `unauthorized`, `duplicate`. */
	announceBroadcast(broadcast: Handle): void;
	/** Whether the session offers the producer to a peer that has not asked for announcements where it is. */
	isUnheard(broadcast: Handle, session: Handle): boolean;
	/** Whether the session brings a broadcast of another publisher from where it offers this one. */
	hasRival(broadcast: Handle, session: Handle): boolean;
	/** Announce a broadcast made elsewhere; free the returned guard to withdraw it. */
	publish(origin: Handle, path: string, broadcast: Handle): Handle;
	/** A consumer of one's own broadcast. */
	consume(broadcast: Handle): Handle;
	/** Another handle to the same broadcast consumer. */
	cloneBroadcast(broadcast: Handle): Handle;
	/** The way a broadcast consumer came by. */
	broadcastInfo(broadcast: Handle): BroadcastInfoData;
	/** Resolves when the broadcast consumer's source is gone. */
	broadcastClosed(broadcast: Handle): Operation<ErrorData>;

	/** Make a track known that lives elsewhere: a consumer or a producer of it. Throws `duplicate` or `dropped`. */
	insertTrack(broadcast: Handle, track: Handle): void;
	/** Make a name unknown; the track lives on. Throws `not-found` or `dropped`. */
	removeTrack(broadcast: Handle, name: string): void;

	/** Look a track up; sends nothing. Throws `not-found` or `dropped`. */
	track(broadcast: Handle, name: string): Handle;
	/** Resolves when the publisher accepted the track. */
	trackInfo(track: Handle): Operation<TrackInfoData>;
	/** Resolves with the sequence of the newest group; null: there is none. */
	trackLatest(track: Handle): Operation<number | null>;
	/** Registers at once. Nothing flows before the first `grant`. */
	subscribe(track: Handle, prefs: SubscriptionData, sink: Sink): PendingSubscription;
	/** Replace the preferences, also before the subscription is confirmed. */
	updateSubscription(subscription: Handle, prefs: SubscriptionData): void;
	/** Local floor: earlier groups are skipped. */
	startAt(subscription: Handle, sequence: number): void;
	/** Local inclusive cap; undefined removes it. */
	endAt(subscription: Handle, sequence: number | undefined): void;
	/**
	 * Add credit. A record of type group costs one frame, a frame costs one frame and its bytes. Data flows while both
	 * are above zero, so one frame of any size may overdraw the bytes.
	 */
	grant(reader: Handle, frames: number, bytes: number): void;
	/**
	 * The reader waits for the next frame of this group (0: for the next group) and has nothing of it left. Lets one
	 * record through without credit, so that unread siblings never starve the one that is being read.
	 */
	want(subscription: Handle, gid: number): void;
	/** Start groups in the order of their arrival, or again in that of their sequences. Each is started once all the same. */
	setOrder(subscription: Handle, arrival: boolean): void;
	/** Deliver datagrams from here on, too; each costs as much as a frame. They come as groups as well. */
	wantDatagrams(subscription: Handle): void;
	/** The reader abandoned this group: nothing more of it is sent. */
	skip(subscription: Handle, gid: number): void;
	/**
	 * One group, cached here or asked from the publisher. The handle that results is a reader: `grant`, `free`.
	 * Batches carry one group with gid 0. Throws `not-found` at once when nothing can serve it.
	 */
	fetchGroup(
		track: Handle,
		sequence: number,
		options: { priority?: number; frameStart?: number },
		sink: Sink,
	): Operation<Handle>;
	/** One group if it is in the cache, as a reader like that of `fetchGroup`. */
	getGroup(track: Handle, sequence: number, sink: Sink): Handle | undefined;

	/** A track of one's own broadcast. Throws `duplicate` or `dropped`. */
	createTrack(broadcast: Handle, name: string, info?: TrackInfoData): Handle;
	/** An in-process reader of one's own track. */
	consumeTrack(track: Handle): Handle;
	/** A group at `sequence`, or the next one. */
	createGroup(track: Handle, sequence?: number): { handle: Handle; sequence: number };
	/** A whole frame; `data` is copied. A timestamp exactly when the track is timed. */
	writeFrame(group: Handle, data: Uint8Array, timestamp?: number): void;
	/** A frame that is written in pieces. Complete with its last byte; free the handle then, or before to give the frame up. */
	createFrame(group: Handle, size: number, timestamp?: number): Handle;
	/** The next piece; `data` is copied. */
	writeChunk(frame: Handle, data: Uint8Array): void;
	/** No further frame. The handle is used up: it need not be freed. */
	finishGroup(group: Handle): void;
	/** Readers fail with that. The handle is used up. */
	abortGroup(group: Handle, error: Rejection): void;
	/** A group of one frame; returns its sequence. */
	writeTrackFrame(track: Handle, data: Uint8Array, timestamp?: number): number;
	/** A datagram under this sequence, best effort. Throws `too-large` above 1200 bytes. */
	writeDatagram(track: Handle, sequence: number, data: Uint8Array, timestamp?: number): void;
	/** No further group. */
	finishTrack(track: Handle): void;
	/** No further group; `sequence` is the last one and must be the newest. */
	finishTrackAt(track: Handle, sequence: number): void;
	/** Readers fail with that. */
	abortTrack(track: Handle, error: Rejection): void;
	/** Resolves when at least one consumer exists. */
	trackUsed(track: Handle): Operation<void>;
	/** Resolves when no consumer exists. */
	trackUnused(track: Handle): Operation<void>;
	/** What all subscribers of a track of one's own, or of a request for one, ask for together now. */
	subscription(track: Handle): SubscriptionData | undefined;
	/** Resolves when that differs from what this call last reported; null when the last subscriber left. */
	subscriptionChanged(track: Handle): Operation<SubscriptionData | null>;

	/**
	 * Serve what nobody has: paths of an origin below `prefix`, tracks of a broadcast of one's own, or groups of a track of
	 * one's own or of a request for one. Throws `unauthorized` for a prefix out of reach.
	 */
	dynamic(of: Handle, prefix?: string): Handle;
	/** The next request for this handler. It is rejected when its handle is freed unanswered. */
	nextRequest(handler: Handle): Operation<Asked>;
	/** Resolves when nobody waits for the answer any more. */
	requestUnused(request: Handle): Operation<void>;
	/** Every answer uses the handle of the request up. */
	rejectRequest(request: Handle, error: Rejection): void;
	/** `broadcast`: to read from, or one's own. */
	acceptBroadcast(request: Handle, broadcast: Handle): void;
	acceptTrack(request: Handle, info?: TrackInfoData): Handle;
	/** Throws `duplicate` when the group has come meanwhile. `info` counts only for a track that was not accepted yet. */
	acceptGroup(request: Handle, info?: TrackInfoData): Handle;

	/** Hand an open transport over. When this fails or is cancelled the transport is closed. */
	connect(transport: OpenTransport, config: ConnectConfig): Operation<Connected>;
	/** Resolves on a clean close of either side, rejects with what else ended the session. */
	sessionClosed(session: Handle): Operation<CloseData>;
	/** Close with a session code and text. The handle stays until freed. */
	closeSession(session: Handle, code: number, reason: string): void;
	sessionStats(session: Handle): SessionStatsData;
	/** Resolves with the address when the peer asks us to move; empty: to the same one. */
	goingAway(session: Handle): Operation<string>;
	/** Resolves with a broadcast of ours where another publisher has appeared; each is told once, here or by the next call. */
	rivalAppears(session: Handle): Operation<Handle>;
	/** Resolves when the peer's estimate differs from what it was when the last call resolved; `sessionStats` has it. */
	bandwidthChanged(session: Handle): Operation<void>;

	/** Let go of one object: a reader unsubscribes, a producer aborts what it has not finished, a session closes. */
	free(handle: Handle): void;
	stats(): CoreStats;
	/** Release everything and stop. Pending operations reject with `closed`. */
	close(): void;
}
