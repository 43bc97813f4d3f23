/** Checks of what comes over a port. Types do not hold there: a page may be broken, or not ours. */

import { failure } from "../failure.ts";
import type { ErrorKind } from "../protocol/error.ts";
import type { Rejection } from "../protocol/model.ts";

/** A whole number, 0…2^53−1. */
export function whole(name: string, value: unknown): number {
	if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
	throw failure("usage", `${name} must be a whole number, not ${typeof value === "number" ? value : typeof value}`);
}

export function text(name: string, value: unknown): string {
	if (typeof value === "string") return value;
	throw failure("usage", `${name} must be a string, not ${typeof value}`);
}

export function texts(name: string, value: unknown): string[] {
	if (!Array.isArray(value)) throw failure("usage", `${name} must be an array of strings`);
	return value.map((item) => text(name, item));
}

export function port(name: string, value: unknown): MessagePort {
	if (value instanceof MessagePort) return value;
	throw failure("usage", `${name} must be a MessagePort`);
}

/** An options object of plain data; its members are checked where they are used. */
export function record<T extends object>(name: string, value: T): T {
	if (typeof value === "object" && value !== null) return value;
	throw failure("usage", `${name} must be an object`);
}

/** Why something is given up. */
export function rejection(error: Rejection): Rejection {
	record("error", error);
	return "code" in error ? { code: whole("code", error.code) } : { kind: text("kind", error.kind) as ErrorKind };
}
