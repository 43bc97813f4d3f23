import { type ErrorData, type ErrorKind, type ErrorScope, isErrorData } from "../../worker/protocol/error.ts";

/** Kinds for which trying the same again later may succeed. */
const RETRYABLE: ReadonlySet<ErrorKind> = new Set<ErrorKind>([
	"timeout",
	"transport",
	"going-away",
	"evicted",
	"dropped",
	"not-found",
	"no-capacity",
	"too-many-pending",
	"worker-crashed",
]);

/**
 * Everything this library throws or rejects with. Branch on {@link MoqError.kind}; the subclasses exist for the common
 * cases.
 */
export class MoqError extends Error {
	/** Name of the class, which stays as it is in minified code. */
	override readonly name: string = "MoqError";
	/** The stable string to branch on. */
	readonly kind: ErrorKind;
	/**
	 * The number that came with it, if any. Of kind `app`: what the other end gave to `abort()` or `reject()` (0…65535), or to
	 * `Connection.close()` (64 and more). Otherwise as on the wire.
	 */
	readonly code?: number;
	/** The registry of {@link MoqError.code}: stream resets or session closes. */
	readonly scope?: ErrorScope;
	/** Text the peer sent along, if any. */
	readonly reason?: string;
	/** True when trying the same thing again later may succeed. */
	readonly retryable: boolean;

	/** `data` as it crossed from the worker, or made up on the page. */
	constructor(data: ErrorData) {
		super(data.message, data.cause ? { cause: errorFrom(data.cause) } : undefined);
		this.kind = data.kind;
		if (data.code !== undefined) this.code = data.code;
		if (data.scope !== undefined) this.scope = data.scope;
		if (data.reason !== undefined) this.reason = data.reason;
		this.retryable = data.retryable ?? RETRYABLE.has(data.kind);
	}
}

/** Whether this is an error of this library, whichever copy of it made it: `instanceof` knows only its own. */
export function isMoqError(error: unknown): error is MoqError {
	return error instanceof Error && "kind" in error && "retryable" in error;
}

/** This side stopped it: `cancel()` or an aborted signal. Its `cause` is the reason that was given there. */
export class CancelledError extends MoqError {
	/** Name of the class, which stays as it is in minified code. */
	override readonly name: string = "CancelledError";
}
/** It never existed, or nobody can serve it. */
export class NotFoundError extends MoqError {
	/** Name of the class, which stays as it is in minified code. */
	override readonly name: string = "NotFoundError";
}
/** It existed, and its owner is gone without finishing it: closed, crashed, or without network. */
export class DroppedError extends MoqError {
	/** Name of the class, which stays as it is in minified code. */
	override readonly name: string = "DroppedError";
}
/** The handle, group, track or connection is closed. */
export class ClosedError extends MoqError {
	/** Name of the class, which stays as it is in minified code. */
	override readonly name: string = "ClosedError";
}
/** A deadline passed: one of this library, whose message names what was waited for, one of the peer, or that of a signal. */
export class TimeoutError extends MoqError {
	/** Name of the class, which stays as it is in minified code. */
	override readonly name: string = "TimeoutError";
}
/** The path or the token does not allow it. */
export class UnauthorizedError extends MoqError {
	/** Name of the class, which stays as it is in minified code. */
	override readonly name: string = "UnauthorizedError";
}
/** The peer broke a rule of the protocol. */
export class ProtocolError extends MoqError {
	/** Name of the class, which stays as it is in minified code. */
	override readonly name: string = "ProtocolError";
}
/** No common version, or the negotiated one cannot do this. */
export class VersionError extends MoqError {
	/** Name of the class, which stays as it is in minified code. */
	override readonly name: string = "VersionError";
}
/** The network connection failed or was lost. */
export class TransportError extends MoqError {
	/** Name of the class, which stays as it is in minified code. */
	override readonly name: string = "TransportError";
}
/** The call was wrong; the message names the argument or option. */
export class UsageError extends MoqError {
	/** Name of the class, which stays as it is in minified code. */
	override readonly name: string = "UsageError";
}
/** The worker is the problem. */
export class WorkerError extends MoqError {
	/** Name of the class, which stays as it is in minified code. */
	override readonly name: string = "WorkerError";
}
/** The worker or the wasm could not be loaded. */
export class WorkerLoadError extends WorkerError {
	/** Name of the class, which stays as it is in minified code. */
	override readonly name: string = "WorkerLoadError";
}
/** The worker died or stopped answering. */
export class WorkerCrashedError extends WorkerError {
	/** Name of the class, which stays as it is in minified code. */
	override readonly name: string = "WorkerCrashedError";
}
/** Page, worker and wasm are not from the same build. */
export class VersionMismatchError extends WorkerError {
	/** Name of the class, which stays as it is in minified code. */
	override readonly name: string = "VersionMismatchError";
}

const CLASSES: Partial<Record<ErrorKind, new (data: ErrorData) => MoqError>> = {
	cancelled: CancelledError,
	"not-found": NotFoundError,
	dropped: DroppedError,
	closed: ClosedError,
	timeout: TimeoutError,
	duplicate: UsageError,
	unauthorized: UnauthorizedError,
	protocol: ProtocolError,
	version: VersionError,
	transport: TransportError,
	usage: UsageError,
	worker: WorkerError,
	"worker-load": WorkerLoadError,
	"worker-crashed": WorkerCrashedError,
	"version-mismatch": VersionMismatchError,
};

/** The error class that belongs to `data.kind`. */
export function errorFrom(data: ErrorData): MoqError {
	return new (CLASSES[data.kind] ?? MoqError)(data);
}

/** Whatever a call to the worker rejected with, as one of our classes. */
export function errorFromUnknown(thrown: unknown): MoqError {
	if (thrown instanceof MoqError) return thrown;
	if (isErrorData(thrown)) return errorFrom(thrown);
	const message = thrown instanceof Error ? thrown.message : String(thrown);
	return failure("internal", message);
}

/** An error made up on the page, of the class that belongs to `kind`. */
export function failure(kind: ErrorKind, message: string, cause?: unknown): MoqError {
	const error = errorFrom({ kind, message });
	if (cause !== undefined) error.cause = cause;
	return error;
}

/** A caller's mistake; `message` names the argument. */
export function usage(message: string): MoqError {
	return failure("usage", message);
}
