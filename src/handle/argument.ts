/** Checks of what callers pass, each naming the argument at fault. */

import type { BroadcastInfoData, SubscriptionData, TrackInfoData } from "../../worker/protocol/model.ts";
import { type MoqError, usage } from "./error.ts";

/** No limit but that of numbers that are exact. */
const ANY = Number.MAX_SAFE_INTEGER;

/** A sequence, index, size, timestamp or duration: whole, 0…2^53−1. */
export function whole(argument: string, value: unknown, max: number = ANY): number {
	if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0 || value > max) {
		throw wrong(argument, `a whole number from 0 to ${max}`, value);
	}
	return value;
}

export function optionalWhole(argument: string, value: unknown, max?: number): number | undefined {
	return value === undefined ? undefined : whole(argument, value, max);
}

export function text(argument: string, value: unknown): string {
	if (typeof value !== "string") throw wrong(argument, "a string", value);
	return value;
}

export function oneOf<T extends string>(argument: string, value: unknown, allowed: readonly T[]): T {
	const found = allowed.find((candidate) => candidate === value);
	if (found === undefined) throw wrong(argument, `one of ${allowed.join(", ")}`, value);
	return found;
}

export function list(argument: string, value: unknown): readonly unknown[] {
	if (!Array.isArray(value)) throw wrong(argument, "an array", value);
	return value;
}

/** The signal among the options of a call that waits. Not by its class: it may come from another window. */
export function signal(options: { signal?: AbortSignal | null | undefined }): AbortSignal | undefined {
	record("the options", options);
	const { signal } = options;
	if (signal && typeof signal.aborted !== "boolean") throw usage("signal must be an AbortSignal");
	return signal ?? undefined;
}

/** True or false. */
export function flag(argument: string, value: unknown): boolean {
	if (typeof value !== "boolean") throw wrong(argument, "true or false", value);
	return value;
}

/** A whole number on either side of 0. */
function signed(argument: string, value: unknown): number {
	if (typeof value === "number" && Number.isSafeInteger(value)) return value;
	throw wrong(argument, `a whole number from -${ANY} to ${ANY}`, value);
}

/** Largest priority. */
const MAX_PRIORITY = 255;

/** No limit at all: Infinity may be given. */
const ENDLESS = Number.POSITIVE_INFINITY;

/** What each member may be: a flag, or a whole number up to this. */
type Members<T> = Record<keyof T, "flag" | "signed" | number>;

const SUBSCRIPTION: Members<SubscriptionData> = {
	priority: MAX_PRIORITY,
	ordered: "flag",
	maxLatencyMs: ENDLESS,
	groupStart: "signed",
	groupEnd: ANY,
	batchMs: ANY,
};

const TRACK_INFO: Members<TrackInfoData> = {
	timescale: ANY,
	cacheMs: ANY,
	priority: MAX_PRIORITY,
	ordered: "flag",
	compress: "flag",
};

/** A copy of the members that are there; unknown ones are left behind. */
function members<T extends object>(argument: string, value: T, allowed: Members<T>): T {
	record(argument, value);
	const checked: Partial<Record<keyof T, number | boolean>> = {};
	for (const name of Object.keys(allowed) as (keyof T & string)[]) {
		const member = value[name];
		const limit = allowed[name];
		if (member === undefined) continue;
		if (limit === "flag") checked[name] = flag(name, member);
		else if (limit === "signed") checked[name] = signed(name, member);
		else if (limit === ENDLESS && member === ENDLESS) checked[name] = ENDLESS;
		else checked[name] = whole(name, member, Math.min(limit, ANY));
	}
	return checked as T;
}

/** Preferences of a subscription, copied. */
export function subscription(prefs: SubscriptionData): SubscriptionData {
	const checked = members("the subscription", prefs, SUBSCRIPTION);
	const { groupStart = 0, groupEnd = groupStart } = checked;
	if (groupEnd < groupStart) throw usage(`groupEnd ${groupEnd} is before groupStart ${groupStart}`);
	return checked;
}

/** The most hops a broadcast may have. */
const MAX_HOPS = 32;

/** The way of a broadcast, copied. */
export function broadcastInfo(info: Partial<BroadcastInfoData>): BroadcastInfoData {
	record("the broadcast info", info);
	const { hops = [] } = info;
	const isRoute = list("hops", hops).length <= MAX_HOPS && hops.every((hop) => /^\d+$/.test(text("hops", hop)));
	if (!isRoute) throw usage(`hops must be at most ${MAX_HOPS} ids of origins, as decimal text`);
	return { hops: [...hops] };
}

/** Properties of a track, copied. */
export function trackInfo(info: TrackInfoData): TrackInfoData {
	const checked = members("the track info", info, TRACK_INFO);
	if (checked.timescale === 0) throw usage("timescale must be at least 1; leave it out for an untimed track");
	return checked;
}

/** An options object. */
export function record(argument: string, value: unknown): void {
	if (typeof value !== "object" || value === null) throw wrong(argument, "an object", value);
}

function wrong(argument: string, needed: string, value: unknown): MoqError {
	return usage(`${argument} must be ${needed}, not ${shown(value)}`);
}

/** A value as an error message shows it: short, and never the whole of a long string. */
function shown(value: unknown): string {
	if (typeof value === "string") return value.length > 32 ? `"${value.slice(0, 32)}…"` : `"${value}"`;
	if (typeof value === "object") return value === null ? "null" : "an object";
	return String(value);
}
