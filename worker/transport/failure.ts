/** What a transport's exceptions say, as text and codes: engines differ in all of it. */

import type { ErrorData, ErrorKind } from "../protocol/error.ts";

/** Fields of `WebTransportError` and its look-alikes. */
interface Described {
	name?: unknown;
	message?: unknown;
	source?: unknown;
	streamErrorCode?: unknown;
}

/** The code a stream was reset or stopped with; undefined when it broke for another reason. */
export function streamCode(error: unknown): number | undefined {
	const code = (error as Described | null | undefined)?.streamErrorCode;
	return typeof code === "number" ? code : undefined;
}

/** True when the failure is the session's, which is reported once for all of its streams. */
export function isSessionFailure(error: unknown): boolean {
	return (error as Described | null | undefined)?.source === "session";
}

/** One line about an exception. Safari leaves the message empty, so name, source and code have to do. */
export function describe(error: unknown): string {
	if (typeof error !== "object" || error === null) return String(error);
	const { name, message, source, streamErrorCode } = error as Described;
	if (typeof message === "string" && message !== "") return message;
	const parts = [typeof name === "string" ? name : "unknown failure"];
	if (typeof source === "string") parts.push(`of the ${source}`);
	if (typeof streamErrorCode === "number") parts.push(`with code ${streamErrorCode}`);
	return parts.join(" ");
}

/** The reason object that makes `abort` or `cancel` send `code`. */
export function streamReason(code: number): unknown {
	const plain = Object.assign(new Error(`code ${code}`), { source: "stream", streamErrorCode: code });
	if (typeof WebTransportError === "undefined") return plain;
	// The constructor changed from one init object to (message, init), and each form refuses or ignores the other's
	// arguments: the one that keeps the code is right.
	const forms: unknown[][] = [[`code ${code}`, { streamErrorCode: code }], [{ streamErrorCode: code }]];
	const Constructor = WebTransportError as unknown as new (...args: unknown[]) => WebTransportError;
	for (const args of forms) {
		try {
			const reason = new Constructor(...args);
			if (reason.streamErrorCode === code) return reason;
		} catch {
			// Not this form.
		}
	}
	return plain;
}

/** A failure to get or keep a connection. */
export function failure(kind: ErrorKind, message: string, cause?: ErrorData): ErrorData {
	const retryable = kind === "transport" || kind === "timeout";
	return { kind, message, ...(retryable ? { retryable } : {}), ...(cause ? { cause } : {}) };
}

/** What a server is that answers over HTTP, and not as a relay does. */
const NO_RELAY = "an HTTP server answers there, but no relay: look at the address, and its path";

/** A failure to connect because the server is no relay. Not worth another try. */
export function noRelay(what: string): ErrorData {
	return { kind: "transport", message: `${what}: ${NO_RELAY}`, retryable: false };
}

/** Whether `error` was made by {@link noRelay}. */
export function isNoRelay({ message }: ErrorData): boolean {
	return message.endsWith(NO_RELAY);
}

/** A failure that no other try can change. */
export function final(message: string): ErrorData {
	return { kind: "transport", message, retryable: false };
}

/** Whether anything answers over HTTP at `url`; pages may not always see what. */
export async function answers(url: URL, signal: AbortSignal): Promise<boolean> {
	try {
		await fetch(url, {
			signal,
			mode: "no-cors",
			cache: "no-store",
			credentials: "omit",
			referrerPolicy: "no-referrer",
		});
		return true;
	} catch {
		return false;
	}
}
