/**
 * The control plane: one interface that the worker's host implements and the page consumes.
 *
 * The page makes up the ids (counting up, never reused), so a call that makes or looks up a handle needs no answer
 * before the next one may use it: calls are executed in the order they were made. An id whose making was refused
 * refuses every later call with the same error. Whatever fails, fails with an ErrorData.
 */

import type { ErrorData } from "./error.ts";
import type { Window } from "./limits.ts";
import type { OpenPlayer, OpenPublisher, OpenRenderer } from "./media.ts";
import type {
	BroadcastInfoData,
	CoreStats,
	ReconnectData,
	Rejection,
	RequestData,
	SessionStatsData,
	SubscriptionData,
	TrackInfoData,
	Version,
} from "./model.ts";
import type { ConnectedData, WriteStep } from "./port.ts";

/** Names one thing the page asked for: a handle, or something that waits. */
export type Id = number;

/** How to reach a relay. */
export interface DialData {
	/** Absolute http(s) address; never shown in errors with its query. */
	url: string;
	/** Acceptable versions, newest first. */
	versions: readonly Version[];
	transport: "auto" | "webtransport" | "websocket";
	/** SHA-256 of acceptable certificates; absent: the platform's trust, or what an http address publishes. */
	serverCertificateHashes?: Uint8Array[];
	/** Address and head start of WebTransport for the WebSocket fallback. */
	websocket: { url?: string; delayMs?: number };
	/** The page has a function for tokens: ask it on the connection's port before another dial. */
	asksToken?: boolean;
	/** Make the connection again when it is lost, and follow a peer that asks us to move. Absent: neither. */
	reconnect?: ReconnectData;
}

/** Live objects of a worker. */
export interface WorkerStats extends CoreStats {
	/** Ids the page has not freed, by type. */
	ids: Record<string, number>;
}

/** One command of a batch, by its name in {@link ControlApi}. */
export interface BatchedCall {
	name: string;
	args: object;
}

/** A command of a batch that was refused, by its place in it. */
export interface Refusal {
	at: number;
	error: ErrorData;
}

/** See the head of this file. Calls that return nothing still answer: the refusal comes that way. */
export interface ControlApi {
	/**
	 * Carry out commands, that is calls that return nothing at once, in one step of the core: peers see all of them or none. One
	 * that is refused does not keep the others from being carried out.
	 */
	batch(args: { calls: BatchedCall[] }): Refusal[];
	/** Proves that the worker still takes turns. */
	ping(): void;
	stats(): WorkerStats;

	createOrigin(args: { origin: Id }): void;
	/** Nothing is delivered before the first grant on the port. */
	announced(args: { stream: Id; origin: Id; prefix: string; port: MessagePort }): void;
	/** Settles when the broadcast can be used under the id given. */
	requestBroadcast(args: { broadcast: Id; origin: Id; path: string }): Promise<BroadcastInfoData>;
	waitForBroadcast(args: { broadcast: Id; origin: Id; path: string }): Promise<BroadcastInfoData>;
	/** Announce somebody's broadcast under another path; free `publication` to withdraw it. */
	publish(args: { publication: Id; origin: Id; path: string; broadcast: Id }): void;

	/** Another view of an origin: only what lies under the prefixes, or relative to the root. */
	viewOrigin(args: { view: Id; origin: Id; by: { prefixes: string[] } | { root: string } }): void;

	/** A producer that is announced nowhere. */
	makeBroadcast(args: { broadcast: Id }): void;
	/** A producer, announced until freed: at once, or with `isPlanned` once it is asked for. */
	createBroadcast(args: {
		broadcast: Id;
		origin: Id;
		path: string;
		info: BroadcastInfoData;
		isPlanned?: boolean;
	}): void;
	/** Announce a producer that was planned; without effect on one that is announced. */
	announceBroadcast(args: { broadcast: Id }): void;
	/** A consumer of one's own broadcast. */
	consume(args: { broadcast: Id; producer: Id }): void;
	cloneBroadcast(args: { broadcast: Id; from: Id }): void;
	/** Rejects with what ended the broadcast consumer's source. */
	broadcastClosed(args: { operation: Id; broadcast: Id }): Promise<void>;

	/** Make a track known that lives elsewhere: one to read from, or one of the page's own. */
	insertTrack(args: { broadcast: Id; track: Id }): void;
	/** Make a name unknown; the track lives on. */
	removeTrack(args: { broadcast: Id; name: string }): void;

	/** Look up; sends nothing. */
	track(args: { track: Id; broadcast: Id; name: string }): void;
	trackInfo(args: { operation: Id; track: Id }): Promise<TrackInfoData>;
	/** The sequence of the newest group; null: there is none. */
	trackLatest(args: { operation: Id; track: Id }): Promise<number | null>;
	/** Registers at once, settles on confirmation. */
	subscribe(args: {
		subscription: Id;
		track: Id;
		prefs: SubscriptionData;
		credit: Window;
		port: MessagePort;
	}): Promise<TrackInfoData>;
	/** Settles when the group is there; frames may still be on their way. */
	fetchGroup(args: {
		group: Id;
		track: Id;
		sequence: number;
		priority?: number;
		frameStart?: number;
		credit: Window;
		port: MessagePort;
	}): Promise<void>;
	/** Cache only. False: it is not there, and the id stays unused. */
	getGroup(args: { group: Id; track: Id; sequence: number; credit: Window; port: MessagePort }): boolean;

	/** `steps` are the first on the port: what was written in the turn in which the track was made. */
	createTrack(args: {
		producer: Id;
		broadcast: Id;
		name: string;
		info: TrackInfoData;
		port: MessagePort;
		steps?: WriteStep[];
	}): void;
	/** An in-process reader of one's own track. */
	consumeTrack(args: { track: Id; producer: Id }): void;

	/**
	 * Serve what nobody has: paths of an origin below `prefix`, tracks of a broadcast of the page's own, or groups of a track
	 * of its own or of a request for one.
	 */
	dynamic(args: { dynamic: Id; of: Id; prefix?: string }): void;
	/** Settles with the next request, which is under the id given from then on. Freeing it unanswered rejects it. */
	nextRequest(args: { request: Id; dynamic: Id }): Promise<RequestData>;
	/** Settles when nobody waits for the answer any more. */
	requestUnused(args: { operation: Id; request: Id }): Promise<void>;
	/** Settles when what all who want the track ask for differs from the last report; null when the last one left. */
	requestSubscription(args: { operation: Id; request: Id }): Promise<SubscriptionData | null>;
	/** An answer uses the id of the request up. */
	rejectRequest(args: { request: Id; error: Rejection }): void;
	/** `broadcast`: one to read from, or one of the page's own. */
	acceptBroadcast(args: { request: Id; broadcast: Id }): void;
	acceptTrack(args: { request: Id; producer: Id; info: TrackInfoData; port: MessagePort }): void;
	/** Write the group under number 1; `info` counts only for a track that was not accepted yet. */
	acceptGroup(args: { request: Id; group: Id; info: TrackInfoData; port: MessagePort }): void;

	/** Settles with an agreed version. `port` reports the end. Absent origin: that half is off. */
	connect(args: {
		connection: Id;
		dial: DialData;
		publish?: Id;
		consume?: Id;
		port: MessagePort;
	}): Promise<ConnectedData>;
	/** Close with a session code and text. Settles when the session is over. */
	closeConnection(args: { connection: Id; code: number; reason: string }): Promise<void>;
	connectionStats(args: { connection: Id }): SessionStatsData;

	/** Close every session and settle once the peers were told. The worker is terminated after this. */
	shutdown(): Promise<void>;
	/** Play a broadcast; it need not be announced yet. What goes wrong is told on the port. */
	openPlayer(args: OpenPlayer): void;
	/** Draw a player's pictures in this worker; otherwise a worker with the role `render` does. */
	openRenderer(args: OpenRenderer): void;
	/** Publish a broadcast made from a media source. What goes wrong is told on the port. */
	openPublisher(args: OpenPublisher): void;

	/** Withdraw what waits under this id, or free what it has become. No effect on an id that is not in use. */
	cancel(args: { id: Id }): void;
	/** Let go of one handle. Rejects with kind `usage` when it is not in use. */
	free(args: { id: Id }): void;
}

/** Calls that return nothing, at once. */
export type CommandName = {
	[Name in keyof ControlApi]: Parameters<ControlApi[Name]> extends [object]
		? ReturnType<ControlApi[Name]> extends void
			? Name
			: never
		: never;
}[keyof ControlApi];

/** Everything that may be called, and nothing else: the filter in front of the host reads this list. Commands may come in a batch. */
export const CONTROL_METHODS: { [Name in keyof ControlApi]: Name extends CommandName ? "command" : "call" } = {
	batch: "call",
	ping: "call",
	stats: "call",
	createOrigin: "command",
	announced: "command",
	requestBroadcast: "call",
	waitForBroadcast: "call",
	publish: "command",
	viewOrigin: "command",
	makeBroadcast: "command",
	createBroadcast: "command",
	announceBroadcast: "command",
	consume: "command",
	cloneBroadcast: "command",
	broadcastClosed: "call",
	insertTrack: "command",
	removeTrack: "command",
	track: "command",
	trackInfo: "call",
	trackLatest: "call",
	subscribe: "call",
	fetchGroup: "call",
	getGroup: "call",
	createTrack: "command",
	consumeTrack: "command",
	dynamic: "command",
	nextRequest: "call",
	requestUnused: "call",
	requestSubscription: "call",
	rejectRequest: "command",
	acceptBroadcast: "command",
	acceptTrack: "command",
	acceptGroup: "command",
	connect: "call",
	closeConnection: "call",
	connectionStats: "call",
	shutdown: "call",
	openPlayer: "command",
	openRenderer: "command",
	openPublisher: "command",
	cancel: "command",
	free: "command",
};

/** Whether a call by this name is a command. */
export function isCommand(name: string): name is CommandName {
	return Object.hasOwn(CONTROL_METHODS, name) && CONTROL_METHODS[name as keyof ControlApi] === "command";
}
