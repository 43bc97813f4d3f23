import type { GapData, GapReason } from "../../worker/protocol/model.ts";
import type { MoqError } from "../handle/error.ts";

/** What a subscription gave its reader so far. */
export interface SubscriberStats {
	/** Groups that were given out. */
	groups: number;
	/** Gaps that were told. */
	gaps: number;
	/** Groups that are missing, in all gaps together. */
	missing: number;
}

/** Kinds of a group's end that have a reason of their own. */
const REASONS: Partial<Record<MoqError["kind"], GapReason>> = { old: "late", lagged: "lagged", evicted: "expired" };

/** The gap that a group leaves when it ends with this error. */
export function gapOf(group: { sequence: number }, error: MoqError): GapData {
	return { from: group.sequence, to: group.sequence, reason: REASONS[error.kind] ?? "reset" };
}
