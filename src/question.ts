import type { ErrorKind } from "../worker/protocol/error.ts";
import type { Rejection, RequestData } from "../worker/protocol/model.ts";
import type { Anchor } from "./anchor.ts";
import * as argument from "./argument.ts";
import { MoqError } from "./error.ts";
import type { CallArgs } from "./link/link.ts";
import type { Pending, WaitOptions } from "./pending.ts";

/** Kinds that mean something to whoever waits at the other end. */
const REJECTIONS = [
	"not-found",
	"unauthorized",
	"unsupported",
	"timeout",
	"dropped",
	"cancelled",
	"going-away",
] as const satisfies readonly ErrorKind[];

/** Why a request is rejected: a code of the application's own (0…65535), or a kind of error. */
export type RejectReason = number | (typeof REJECTIONS)[number];

/** Highest application code that fits the wire. */
const MAX_CODE = 0xffff;
/** Application codes begin here on the wire. */
const FIRST_CODE = 0x40;

type Answer = "rejectRequest" | "acceptBroadcast" | "acceptTrack" | "acceptGroup";

/** What is behind every request: somebody waits for the one answer to it. */
export class Question<Data extends RequestData = RequestData> {
	readonly anchor: Anchor;
	readonly data: Data;

	constructor(anchor: Anchor, data: Data) {
		this.anchor = anchor;
		this.data = data;
	}

	/** Send the one answer. `refused` hears what is wrong with it, unless the handle it names does. @throws when there was one. */
	answer<Name extends Answer>(
		name: Name,
		args: Omit<CallArgs<Name>, "request">,
		refused: (error: MoqError) => void = () => undefined,
	): void {
		const { anchor } = this;
		anchor.check();
		const call = { ...args, request: anchor.id } as CallArgs<Name>;
		anchor.link.call(name, call, { resolve: () => undefined, reject: refused });
		// Frees the request if the answer was refused, and nothing otherwise: an answer uses it up.
		anchor.close();
	}

	reject(reason: RejectReason): void {
		this.answer("rejectRequest", { error: rejection(reason) });
	}

	unused(options: WaitOptions | undefined): Pending<void> {
		const { anchor } = this;
		const operation = anchor.link.mint();
		const args = () => ({ operation, request: anchor.id });
		return anchor.wait<"requestUnused", void>("requestUnused", { id: operation, args, map: () => undefined }, options);
	}

	/** A handler threw this. */
	fail(error: unknown): void {
		if (!this.anchor.isLive) return;
		const { kind, code = FIRST_CODE } = error instanceof MoqError ? error : { kind: undefined };
		if (kind === "app") this.reject(code - FIRST_CODE);
		else this.reject(REJECTIONS.find((known) => known === kind) ?? "cancelled");
	}
}

function rejection(reason: RejectReason): Rejection {
	if (typeof reason === "number") return { code: argument.whole("reason", reason, MAX_CODE) };
	return { kind: argument.oneOf("reason", reason, REJECTIONS) };
}
