/** Messages of the data plane. Each port belongs to one object, so no message names another. */

import type { Id } from "./control.ts";
import type { ErrorData } from "./error.ts";
import type { AnnounceEvent, BandwidthData, CloseData, Rejection, SubscriptionData, Version } from "./model.ts";

/** Page to worker on the port of a subscription or of a fetched group. */
export type ReaderRequest =
	/** Credit given back. */
	| { type: "grant"; frames: number; bytes: number }
	/** A read waits for this group (0: for the next group) and nothing of it is here: let one record pass without credit. */
	| { type: "want"; gid: number }
	/** Nobody reads this group any more. */
	| { type: "skip"; gid: number }
	/** New preferences. */
	| { type: "update"; prefs: SubscriptionData }
	/** Start groups in the order of their arrival, or again in that of their sequences. */
	| { type: "order"; arrival: boolean }
	/** Deliver datagrams from here on, too. */
	| { type: "datagrams" }
	/** Local floor. */
	| { type: "startAt"; sequence: number }
	/** Local inclusive cap; absent: none. */
	| { type: "endAt"; sequence?: number }
	/** No group follows, as when a session was lost: may this go on when there is another one? Answered by `cut` or `over`. */
	| { type: "lost" }
	/** After `cut`: go on with this group (absent: none has come), and send so much. */
	| { type: "resume"; next?: number; frames: number; bytes: number };

/** Worker to page on the same port. */
export type ReaderEvent =
	/** Frames; the format is `batch.ts`. `frames` and `bytes` are the credit used up. */
	| { type: "batch"; buffer: ArrayBuffer; frames: number; bytes: number }
	/** Nothing comes any more from where this was read; the page says where to go on. */
	| { type: "cut" }
	/** It is read on. `isRestart`: from another publisher, which counts its groups anew. */
	| { type: "resumed"; isRestart: boolean }
	/** It does not go on; what has begun may. */
	| { type: "over" }
	/** Last message. Absent error: a clean end. */
	| { type: "end"; error?: ErrorData };

/** One step of a publication, in the order the page took them. `group` is a number the page made up for this port. */
export type WriteStep =
	| { type: "group"; group: number; sequence: number }
	| GroupStep
	| { type: "datagram"; sequence: number; data: Uint8Array; timestamp?: number }
	/** The turn in which the page accepted the track is over, but for what follows in this message. */
	| { type: "begun" }
	| { type: "finish" }
	| { type: "finishAt"; sequence: number }
	| { type: "abort"; error: Rejection };

/** One step inside a group that was begun. `frame` is a name the page made up for a frame that is written in pieces. */
export type GroupStep =
	| { type: "frame"; group: number; data: Uint8Array; timestamp?: number }
	| { type: "frameStart"; group: number; frame: string; size: number; timestamp?: number }
	| { type: "chunk"; group: number; frame: string; data: Uint8Array }
	| { type: "frameAbort"; group: number; frame: string }
	| { type: "groupEnd"; group: number }
	| { type: "groupAbort"; group: number; error: Rejection };

/** Page to worker on the port of a published track, or of one group that was asked for. */
export interface WriterRequest {
	type: "write";
	steps: WriteStep[];
}

/** Worker to page on the same port. */
export type WriterEvent =
	/** Credit given back: so much was taken over by the model. */
	| { type: "grant"; frames: number; bytes: number }
	/** A step of this group was refused; later steps of it are ignored. */
	| { type: "groupError"; group: number; error: ErrorData }
	/** What all subscribers together ask for now; null: there is none. */
	| { type: "subscription"; subscription: SubscriptionData | null }
	/** Whether anybody holds the track. */
	| { type: "used"; used: boolean }
	/** The end of the track, or of the one group, was taken. With an error: it was refused. Groups that are open go on. */
	| { type: "end"; error?: ErrorData };

/** Page to worker on the port of an announce stream: ids under which the next records may be delivered. */
export interface AnnounceRequest {
	type: "grant";
	records: number[];
}

/** One announcement. `record` is one of the granted ids and names the broadcast when `event` is not "ended". */
export interface AnnounceData {
	record: number;
	path: string;
	event: AnnounceEvent;
	hops: string[];
}

/** Worker to page on the same port. */
export type AnnouncePortEvent =
	| { type: "records"; records: AnnounceData[] }
	/** Last message. Absent error: the origin closed. */
	| { type: "end"; error?: ErrorData };

/** How a connection was made. */
export interface ConnectedData {
	version: Version;
	transport: "webtransport" | "websocket";
	/** Why the other transport lost, when both were tried. */
	lost?: string;
}

/** Page to worker on the port of a connection. */
export type ConnectionRequest =
	/** A token of now (absent: none), or why there is none. */
	| { type: "token"; token?: string; error?: ErrorData }
	/** Now is a good time for another dial: the network, or the page, is back. */
	| { type: "hurry" }
	/** The page is put aside: close the session, and make the next one on `hurry`. Without effect where none is made again. */
	| { type: "leave" };

/** Worker to page on the port of a connection. */
export type ConnectionEvent =
	/** The peer asks us to move to this address (empty: to the same one), which the worker sees to if it may. */
	| { type: "goaway"; uri: string }
	/** The worker is about to dial again: answer with a {@link ConnectionRequest} of the same type. */
	| { type: "token" }
	/** The session was lost, or the dial before this one failed, with this cause: the next dial is in so long. */
	| { type: "reconnecting"; attempt: number; delayMs: number; cause: ErrorData }
	/** The session was replaced by one with these properties. */
	| { type: "moved"; url: string; connected: ConnectedData }
	/** The peer has not asked for announcements where this broadcast of the page is. */
	| { type: "unheard"; broadcast: Id }
	/** The peer announces a broadcast of another publisher where this one of the page is. */
	| { type: "conflict"; broadcast: Id }
	/** The page waits for what is at this path, or below it, and its token does not let it read that. */
	| { type: "unreadable"; path: string }
	/** The peer's estimate has changed; not more than a few times a second. */
	| ({ type: "bandwidth" } & BandwidthData)
	/** Last message: a clean close of either side, or what else ended it. */
	| { type: "closed"; close?: CloseData; error?: ErrorData };
