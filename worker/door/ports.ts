/** Messages of the page on the ports of the data plane and of media. */

import * as v from "valibot";
import { asErrorData } from "../failure.ts";
import type { ErrorData } from "../protocol/error.ts";
import type { Orientation, PictureMessage, PictureReply, PlayerRequest, RenderRequest } from "../protocol/media.ts";
import type { AnnounceRequest, ConnectionRequest, ReaderRequest } from "../protocol/port.ts";
import { check, errorData, flag, number, platform, type Schema, text, whole } from "./schema.ts";
import { prefs } from "./values.ts";

/**
 * Hear what comes on a port. A message that is none of this port, or one that cannot be carried out, goes to `refuse` as an error: it ends what
 * the port belongs to, and nothing else.
 */
export function listen<T>(
	port: MessagePort,
	schema: Schema<T>,
	hear: (message: T) => void,
	refuse: (error: ErrorData) => void,
): void {
	port.onmessage = ({ data }: MessageEvent<unknown>) => {
		try {
			hear(check(schema, data, "message"));
		} catch (error) {
			refuse(asErrorData(error));
		}
	};
}

const UNKNOWN = "is no message of this port";

export const readerRequest: Schema<ReaderRequest> = v.variant(
	"type",
	[
		v.object({ type: v.literal("grant"), frames: whole, bytes: whole }),
		v.object({ type: v.literal("want"), gid: whole }),
		v.object({ type: v.literal("skip"), gid: whole }),
		v.object({ type: v.literal("update"), prefs }),
		v.object({ type: v.literal("order"), arrival: flag }),
		v.object({ type: v.literal("datagrams") }),
		v.object({ type: v.literal("startAt"), sequence: whole }),
		v.object({ type: v.literal("endAt"), sequence: v.optional(whole) }),
		v.object({ type: v.literal("lost") }),
		v.object({ type: v.literal("resume"), next: v.optional(whole), frames: whole, bytes: whole }),
	],
	UNKNOWN,
);

/** The steps are checked one by one: a wrong one ends its group alone. */
export const writerRequest: Schema<{ type: "write"; steps: unknown[] }> = v.object({
	type: v.literal("write", UNKNOWN),
	steps: v.array(v.unknown(), "must be an array"),
});

export const announceRequest: Schema<AnnounceRequest> = v.object({
	type: v.literal("grant", UNKNOWN),
	records: v.array(whole),
});

export const connectionRequest: Schema<ConnectionRequest> = v.variant(
	"type",
	[
		v.object({ type: v.literal("token"), token: v.optional(text), error: v.optional(errorData) }),
		v.object({ type: v.literal("hurry") }),
		v.object({ type: v.literal("leave") }),
	],
	UNKNOWN,
);

export const playerRequest: Schema<PlayerRequest> = v.object({
	type: v.literal("report", UNKNOWN),
	id: whole,
	fromMs: number,
	toMs: number,
});

export const pictureReply: Schema<PictureReply> = v.object({ type: v.literal("done", UNKNOWN) });

const orientation: Schema<Orientation> = v.object({ rotation: v.picklist([0, 90, 180, 270]), flip: flag });

export const pictureMessage: Schema<PictureMessage> = v.variant(
	"type",
	[
		v.object({ type: v.literal("picture"), frame: platform("VideoFrame") }),
		v.object({ type: v.literal("orientation"), orientation }),
	],
	UNKNOWN,
);

export const renderRequest: Schema<RenderRequest> = v.object({ type: v.literal("ping", UNKNOWN) });
