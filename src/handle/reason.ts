import type { ErrorKind } from "../../worker/protocol/error.ts";
import type { Rejection } from "../../worker/protocol/model.ts";
import * as argument from "./argument.ts";
import { MoqError } from "./error.ts";

/** Kinds that mean something to whoever waits at the other end. */
const REJECTIONS = [
	"not-found",
	"unauthorized",
	"unsupported",
	"timeout",
	"dropped",
	"cancelled",
	"going-away",
] as const satisfies readonly Extract<RejectReason, string>[];

/**
 * What the other end is told: a code of the application's own (0…65535), which arrives as the `code` of an error of kind `app`; a kind of
 * error; or an error as this library throws it, so that one can be passed on. An error of a kind that means nothing there is told
 * as `dropped`, and so is `cancelled`: that is for a reader alone to say.
 */
export type RejectReason =
	| number
	| Extract<
			ErrorKind,
			"not-found" | "unauthorized" | "unsupported" | "timeout" | "dropped" | "cancelled" | "going-away"
	  >
	| MoqError;

/** Highest application code that fits the wire. */
const MAX_CODE = 0xffff;
/** Application codes begin here where a session is closed with one. */
const FIRST_CODE = 0x40;

/** A reason as the worker takes it. @throws UsageError when it is none. */
export function rejection(reason: RejectReason): Rejection {
	const error = reason instanceof MoqError ? reason : undefined;
	const code = error?.kind === "app" ? appCode(error) : reason;
	if (typeof code === "number") return { code: argument.whole("reason", code, MAX_CODE) };
	const kind = error
		? REJECTIONS.find((known) => known === error.kind)
		: argument.oneOf("reason", reason as string, REJECTIONS);
	return { kind: kind === undefined || kind === "cancelled" ? "dropped" : kind };
}

function appCode({ code = 0, scope }: MoqError): number {
	return scope === "session" ? code - FIRST_CODE : code;
}
