import type { ErrorData } from "../protocol/error.ts";

/** What the core rejects with is plain data already; anything else is a bug of ours and says so. */
export function asErrorData(error: unknown): ErrorData {
	if (typeof error === "object" && error !== null && "kind" in error && "message" in error) return error as ErrorData;
	return { kind: "internal", message: error instanceof Error ? error.message : String(error) };
}
