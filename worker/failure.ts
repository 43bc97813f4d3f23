import { type ErrorData, type ErrorKind, isErrorData } from "./protocol/error.ts";

/** A failure as it crosses a port. What is not one of ours is a bug of ours. */
export function asErrorData(thrown: unknown): ErrorData {
	if (isErrorData(thrown)) return thrown;
	return { kind: "internal", message: thrown instanceof Error ? thrown.message : String(thrown) };
}

/** To be thrown: the control plane carries plain data only. */
export function failure(kind: ErrorKind, message: string): ErrorData {
	return { kind, message };
}
