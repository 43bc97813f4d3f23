/** Checks of what callers pass, each naming the argument at fault. */

import type { SubscriptionData, TrackInfoData } from "../worker/protocol/model.ts";
import { usage } from "./error.ts";

/** A sequence, index, size, timestamp or duration: whole, 0…2^53−1. */
export function whole(argument: string, value: unknown, max: number = Number.MAX_SAFE_INTEGER): number {
	if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0 || value > max) {
		throw usage(`${argument} must be a whole number from 0 to ${max}, not ${shown(value)}`);
	}
	return value;
}

export function optionalWhole(argument: string, value: unknown, max?: number): number | undefined {
	return value === undefined ? undefined : whole(argument, value, max);
}

export function text(argument: string, value: unknown): string {
	if (typeof value !== "string") throw usage(`${argument} must be a string, not ${shown(value)}`);
	return value;
}

export function oneOf<T extends string>(argument: string, value: unknown, allowed: readonly T[]): T {
	const found = allowed.find((candidate) => candidate === value);
	if (found === undefined) throw usage(`${argument} must be one of ${allowed.join(", ")}, not ${shown(value)}`);
	return found;
}

function flag(argument: string, value: unknown): boolean {
	if (typeof value !== "boolean") throw usage(`${argument} must be true or false, not ${shown(value)}`);
	return value;
}

/** Preferences of a subscription, copied; unknown members are left behind. */
export function subscription(prefs: SubscriptionData): SubscriptionData {
	record("the subscription", prefs);
	const checked: SubscriptionData = {};
	if (prefs.priority !== undefined) checked.priority = whole("priority", prefs.priority, 255);
	if (prefs.ordered !== undefined) checked.ordered = flag("ordered", prefs.ordered);
	if (prefs.maxLatencyMs !== undefined) checked.maxLatencyMs = whole("maxLatencyMs", prefs.maxLatencyMs);
	if (prefs.groupStart !== undefined) checked.groupStart = whole("groupStart", prefs.groupStart);
	if (prefs.groupEnd !== undefined) checked.groupEnd = whole("groupEnd", prefs.groupEnd);
	if (prefs.batchMs !== undefined) checked.batchMs = whole("batchMs", prefs.batchMs);
	if (checked.groupStart !== undefined && checked.groupEnd !== undefined && checked.groupEnd < checked.groupStart) {
		throw usage(`groupEnd ${checked.groupEnd} is before groupStart ${checked.groupStart}`);
	}
	return checked;
}

/** Properties of a track, copied; unknown members are left behind. */
export function trackInfo(info: TrackInfoData): TrackInfoData {
	record("the track info", info);
	const checked: TrackInfoData = {};
	if (info.timescale !== undefined) {
		checked.timescale = whole("timescale", info.timescale);
		if (checked.timescale === 0) throw usage("timescale must be at least 1; leave it out for an untimed track");
	}
	if (info.cacheMs !== undefined) checked.cacheMs = whole("cacheMs", info.cacheMs);
	if (info.priority !== undefined) checked.priority = whole("priority", info.priority, 255);
	if (info.ordered !== undefined) checked.ordered = flag("ordered", info.ordered);
	if (info.compress !== undefined) checked.compress = flag("compress", info.compress);
	return checked;
}

/** An options object. */
export function record(argument: string, value: unknown): void {
	if (typeof value !== "object" || value === null) throw usage(`${argument} must be an object, not ${shown(value)}`);
}

/** A value as an error message shows it: short, and never the whole of a long string. */
function shown(value: unknown): string {
	if (typeof value === "string") return value.length > 32 ? `"${value.slice(0, 32)}…"` : `"${value}"`;
	if (typeof value === "object") return value === null ? "null" : "an object";
	return String(value);
}
