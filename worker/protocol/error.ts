/**
 * Errors as plain data: the only form in which a failure crosses a port or leaves the core.
 * The page rebuilds its error classes from this; nothing else carries an error between threads.
 */

/** Which registry `code` belongs to: stream reset / STOP_SENDING codes, or session close codes. */
export type ErrorScope = "stream" | "session";

/** The stable string programs branch on; one per situation, never renamed. */
export type ErrorKind =
	// outcome of an operation
	| "cancelled"
	| "not-found"
	| "dropped"
	| "closed"
	| "timeout"
	| "duplicate"
	| "unauthorized"
	| "unsupported"
	| "going-away"
	| "no-capacity"
	// a group or frame is gone
	| "old"
	| "lagged"
	| "evicted"
	| "too-large"
	| "out-of-range"
	// the peer, the network, or us
	| "protocol"
	| "version"
	| "transport"
	| "remote"
	| "app"
	| "internal"
	// the caller
	| "usage"
	| "invalid-state"
	| "flushing"
	| "too-many-pending"
	// the worker itself
	| "worker"
	| "worker-load"
	| "worker-crashed"
	| "version-mismatch";

/** One failure. Plain data: survives structured clone and JSON. */
export interface ErrorData {
	/** What happened, for programs. */
	kind: ErrorKind;
	/** Lower-case sentence for people: what happened and the value that was wrong. Never holds a token. */
	message: string;
	/** The number on the wire, where one was sent or received. */
	code?: number;
	/** The registry of `code`; present exactly when `code` is. */
	scope?: ErrorScope;
	/** Text the peer sent along, if any. */
	reason?: string;
	/** True when trying the same thing again later may succeed. */
	retryable?: boolean;
	/** What led to this. */
	cause?: ErrorData;
}

/** Whether this is a failure as it crosses a port. */
export function isErrorData(value: unknown): value is ErrorData {
	if (typeof value !== "object" || value === null || value instanceof Error) return false;
	const { kind, message } = value as Partial<ErrorData>;
	return typeof kind === "string" && typeof message === "string";
}
