/** The values of the model, as they come from a page. Ranges are the core's affair. */

import * as v from "valibot";
import type { ErrorKind } from "../protocol/error.ts";
import type { Window } from "../protocol/limits.ts";
import type { BroadcastInfoData, Rejection, SubscriptionData, TrackInfoData } from "../protocol/model.ts";
import type { WriteStep } from "../protocol/port.ts";
import { bytes, flag, number, type Schema, text, whole } from "./schema.ts";

export const prefs: Schema<SubscriptionData> = v.object({
	priority: v.optional(number),
	ordered: v.optional(flag),
	maxLatencyMs: v.optional(number),
	groupStart: v.optional(number),
	groupEnd: v.optional(number),
	batchMs: v.optional(number),
});

export const trackInfo: Schema<TrackInfoData> = v.object({
	timescale: v.optional(number),
	cacheMs: v.optional(number),
	priority: v.optional(number),
	ordered: v.optional(flag),
	compress: v.optional(flag),
});

export const broadcastInfo: Schema<BroadcastInfoData> = v.object({ hops: v.array(text) });

export const credit: Schema<Window> = v.object({ frames: whole, bytes: whole });

/** Of the kinds the core takes those that say something to a peer. */
const kind = v.pipe(
	text,
	v.transform((value) => value as ErrorKind),
);

export const rejection: Schema<Rejection> = v.union(
	[v.object({ code: whole }), v.object({ kind })],
	"must have a code or a kind",
);

const timestamp = v.optional(whole);

export const writeStep: Schema<WriteStep> = v.variant(
	"type",
	[
		v.object({ type: v.literal("group"), group: whole, sequence: whole }),
		v.object({ type: v.literal("frame"), group: whole, data: bytes, timestamp }),
		v.object({ type: v.literal("groupEnd"), group: whole }),
		v.object({ type: v.literal("frameStart"), group: whole, frame: text, size: whole, timestamp }),
		v.object({ type: v.literal("chunk"), group: whole, frame: text, data: bytes }),
		v.object({ type: v.literal("frameAbort"), group: whole, frame: text }),
		v.object({ type: v.literal("groupAbort"), group: whole, error: rejection }),
		v.object({ type: v.literal("datagram"), sequence: whole, data: bytes, timestamp }),
		v.object({ type: v.literal("begun") }),
		v.object({ type: v.literal("finish") }),
		v.object({ type: v.literal("finishAt"), sequence: whole }),
		v.object({ type: v.literal("abort"), error: rejection }),
	],
	"is no step of a publication",
);
