import type { ErrorData, ErrorKind } from "../../protocol/error.ts";
import type { ReconnectData } from "../../protocol/model.ts";

/** Failures that the next dial would meet again. */
const FINAL: ReadonlySet<ErrorKind> = new Set<ErrorKind>([
	"app",
	"protocol",
	"unauthorized",
	"unsupported",
	"usage",
	"version",
	"version-mismatch",
	"worker-crashed",
]);

/**
 * Whether another dial is of no use after this. A session whose token has run out is dialled again with a new one, if there is one. What a
 * first dial takes for the wrong address is a relay that is just starting here, where there was one before.
 */
export function isFinal(error: ErrorData, hasFreshToken: boolean): boolean {
	if (error.kind === "unauthorized") return !hasFreshToken;
	return FINAL.has(error.kind);
}

/**
 * How long to wait before an attempt, ms; the first has number 1. `random` is in 0…1 and only shortens: many clients of one relay do not come
 * back at the same instant.
 */
export function backOff(policy: ReconnectData, attempt: number, random: number): number {
	const full = Math.min(policy.maxMs, policy.initialMs * policy.factor ** (attempt - 1));
	return full * (1 - policy.jitter * random);
}

/** Whether the policy allows this attempt, so long after the connection was lost. */
export function mayTry(policy: ReconnectData, attempt: number, sinceMs: number): boolean {
	return (
		attempt <= (policy.maxAttempts ?? Number.POSITIVE_INFINITY) &&
		sinceMs < (policy.giveUpMs ?? Number.POSITIVE_INFINITY)
	);
}
