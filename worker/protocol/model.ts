/** The values of the model as plain data: what page, host and core exchange besides handles, errors and batches. */

import type { ErrorKind } from "./error.ts";

/** A protocol version by the name it has on the page; `moq-lite-05-wip` and `moq-lite-07-wip` are opt-in. */
export type Version =
	| "moq-lite-07-wip"
	| "moq-lite-06"
	| "moq-lite-05"
	| "moq-lite-05-wip"
	| "moq-lite-04"
	| "moq-lite-03"
	| "moq-lite-02"
	| "moq-lite-01";

/** Offered when nothing else is asked for, newest first. 02 and 01 share one token on the wire. */
export const DEFAULT_VERSIONS: readonly Version[] = [
	"moq-lite-06",
	"moq-lite-05",
	"moq-lite-04",
	"moq-lite-03",
	"moq-lite-02",
	"moq-lite-01",
];

/** What a subscriber asks of the publisher. Absent fields take the defaults given here, which are those of a reader that wants all. */
export interface SubscriptionData {
	/** Higher preempts lower, 0…255. Default 0. */
	priority?: number;
	/** Prefer sequence order over newest first. Default true. */
	ordered?: boolean;
	/**
	 * How long an older group is still waited for once a newer one exists. 0: only the newest group counts. Absent or Infinity: as
	 * long as the publisher keeps groups (`cacheMs` of the track).
	 */
	maxLatencyMs?: number;
	/** First group wanted, also beside other readers; below 0: the last so many groups that there are. Absent: the live edge. */
	groupStart?: number;
	/** Last group wanted, inclusive: a read by sequence ends there. Absent: no end. */
	groupEnd?: number;
	/** Hold frames up to this long so that more travel in one message. Default 0. Local, never sent. */
	batchMs?: number;
}

/**
 * Why groups are missing from what is read in order:
 * - `late`: they were waited for as long as `maxLatencyMs` and the cache of the track allow.
 * - `reset`: they broke off, by their publisher or on the way.
 * - `declared`: the publisher, or a relay on the way, said that they will not come.
 * - `jump`: more than 1024 are missing in a row, which is not waited for.
 * - `full`: more than 16 MiB wait behind them, which is what the worker holds back for one reader.
 * - `expired`: they came, and left the cache of the track before they were read.
 * - `ended`: the track is over without them.
 * - `refused`: they are part of the range that was asked for, and could not be had: they are gone, or the version cannot fetch.
 * - `lagged`: they came, and gave way because the page let 1024 groups lie unread.
 */
export type GapReason = "late" | "reset" | "declared" | "jump" | "full" | "expired" | "ended" | "refused" | "lagged";

/** Groups that are not given out by a read in order. */
export interface GapData {
	/** Sequence of the first group that is missing. */
	from: number;
	/** Sequence of the last group that is missing. */
	to: number;
	/** Why, for the first of them. */
	reason: GapReason;
}

/** The way a broadcast came by. */
export interface BroadcastInfoData {
	/** Ids of the origins it passed, the publisher's first, at most 32; decimal text. Empty: it was published here. */
	hops: readonly string[];
}

/** The fixed properties of a track. Absent fields take the defaults given here. */
export interface TrackInfoData {
	/**
	 * Units per second of frame timestamps; absent: untimed. From moq-lite-05 on an untimed track arrives as one in milliseconds
	 * since it was made: the wire has no other way.
	 */
	timescale?: number;
	/** How long groups that are not the newest stay in caches. Default 5000. */
	cacheMs?: number;
	/** Tie-break between tracks of one publisher, 0…255. Default 127. */
	priority?: number;
	/** Tie-break between groups of the track: oldest first. Default false. */
	ordered?: boolean;
	/** Hint that payloads compress well. Default false. */
	compress?: boolean;
}

/** What a handler of an origin was asked for: a path that nobody announces, from the very root of the origin. */
export interface BroadcastAsked {
	path: string;
}

/** What a handler of a broadcast was asked for: a track, and what all who wait for it want together. */
export interface TrackAsked {
	name: string;
	subscription: SubscriptionData | null;
}

/** What a handler of a track was asked for: a group that is not in the cache. */
export interface GroupAsked {
	sequence: number;
	/** The highest of all who asked so far, 0…255. */
	priority: number;
	/** The first frame any of them wants. */
	frameStart: number;
}

/** What a handler was asked for, by the kind of the handler. */
export type RequestData = BroadcastAsked | TrackAsked | GroupAsked;

/** Why a request is rejected: a code of the application (0…65535), or a kind that says something to a peer. */
export type Rejection = { code: number } | { kind: ErrorKind };

/** What the peer says the connection can carry; a member is absent where it does not say. */
export interface BandwidthData {
	/** Smoothed round-trip time. */
	rttMs?: number;
	/** Estimated bandwidth towards us. */
	bitsPerSecond?: number;
}

/** What happened to a path: a broadcast appeared, was replaced without a gap, or went away. */
export type AnnounceEvent = "active" | "restart" | "ended";

/** When a connection that was lost is made again. Durations in ms. */
export interface ReconnectData {
	/** Before the first dial. Default 1 000. */
	initialMs: number;
	/** By how much the wait grows with each dial. Default 2. */
	factor: number;
	/** How much of a wait chance may take away, 0…1. Default 0.5. */
	jitter: number;
	/** The longest wait. Default 30 000. */
	maxMs: number;
	/** After so long with a connection the waits begin anew. Default 10 000. */
	resetAfterMs: number;
	/** Dials in a row. Default: no limit. */
	maxAttempts?: number;
	/** Time without a connection after which there is no further dial. Default: no limit. */
	giveUpMs?: number;
}

/** How a session ended: the peer's or our own close code and reason, or the failure that ended it. */
export interface CloseData {
	/** Session close code; absent when the connection was lost without one. */
	code?: number;
	/** Text that came with the code. */
	reason?: string;
	/** True when this side asked for the close. */
	local: boolean;
}

/** Figures of one session; a field is absent where transport or version cannot tell. */
export interface SessionStatsData extends BandwidthData {
	/** Payload bytes handed to streams. */
	bytesSent: number;
	/** Payload bytes taken from streams. */
	bytesReceived: number;
	/** Bytes received that nothing has read yet. */
	unreadBytes: number;
	/** Streams that are open now, both kinds, both directions. */
	openStreams: number;
}

/** Live counts of one core; every count returns to its start when everything was freed. */
export interface CoreStats {
	/** Live handles by type, for example `{ origin: 1, track: 2 }`. */
	handles: Record<string, number>;
	/** Live objects of the model by type. */
	model: Record<string, number>;
	/** Operations that have not settled. */
	operations: number;
	/** Tasks in the executor. */
	tasks: number;
	/** Payload bytes held by group caches. */
	cachedBytes: number;
	/** Size of the wasm memory; it never shrinks. */
	memoryBytes: number;
}
