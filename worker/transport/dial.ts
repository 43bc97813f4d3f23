/** Get a session to a relay: WebTransport first, WebSocket after a head start, the first that is ready wins. */

import type { OpenTransport } from "../core/transport.ts";
import type { ErrorData } from "../protocol/error.ts";
import type { Version } from "../protocol/model.ts";
import { type Address, address } from "./address.ts";
import { certificateHashes } from "./certificate.ts";
import { failure, final, isNoRelay } from "./failure.ts";
import { PolicyWatch } from "./policy.ts";
import { tokens } from "./version.ts";
import { dialWebSocket } from "./websocket.ts";
import { dialWebTransport, missing } from "./webtransport.ts";

/** How to reach a relay. */
export interface DialOptions {
	/** Absolute http(s) address. */
	url: string;
	/** Acceptable versions, newest first; at least one. */
	versions: readonly Version[];
	transport: "auto" | "webtransport" | "websocket";
	/** SHA-256 of acceptable certificates; absent: the platform's trust, or what an http address publishes. */
	serverCertificateHashes?: readonly Uint8Array[];
	/** Address of the fallback and head start of WebTransport. */
	websocket?: { url?: string; delayMs?: number };
}

/** A silent server must not hold up the other way, nor the caller. */
const DIAL_DEADLINE_MS = 10_000;

/** Long enough that UDP wins wherever it works, short enough that nobody notices where it does not. */
const HEAD_START_MS = 500;

/** Origins where WebSocket won last time: no head start there until WebTransport wins again, unless the caller sets one. In memory only. */
const preferWebSocket = new Set<string>();

/**
 * Dial until one way is ready; the other is given up before it opens.
 * @throws ErrorData naming what failed on each way, or the signal's reason.
 */
export async function dial(options: DialOptions, signal: AbortSignal): Promise<OpenTransport> {
	if (options.versions.length === 0) throw failure("usage", "versions is empty");
	const target = address(options.url, options.websocket?.url);
	const protocols = tokens(options.versions);
	// Checked before anything is dialed: a mistake of the caller is not one way's bad luck.
	const hashes = certificateHashes(options.serverCertificateHashes ?? []);
	const policy = new PolicyWatch();
	const ways = {
		webtransport: (signal: AbortSignal) => dialWebTransport({ address: target, protocols, hashes, signal, policy }),
		websocket: (signal: AbortSignal) => dialWebSocket({ address: target, protocols, signal, policy }),
	};
	try {
		return await reach(options, target, ways, signal);
	} finally {
		policy.stop();
	}
}

async function reach(
	options: DialOptions,
	target: Address,
	ways: Record<"webtransport" | "websocket", Way>,
	signal: AbortSignal,
): Promise<OpenTransport> {
	if (options.transport !== "auto") return attempt(ways[options.transport], signal);
	const result = await race(ways, headStart(target, options.websocket?.delayMs), signal);
	if (result.kind === "websocket") preferWebSocket.add(target.origin);
	else preferWebSocket.delete(target.origin);
	return result;
}

function headStart({ origin }: Address, delayMs: number | undefined): number {
	if (missing() !== undefined) return 0;
	return delayMs ?? (preferWebSocket.has(origin) ? 0 : HEAD_START_MS);
}

type Way = (signal: AbortSignal) => Promise<OpenTransport>;

/** One way, with its deadline. */
async function attempt(way: Way, signal: AbortSignal): Promise<OpenTransport> {
	const control = new AbortController();
	const abort = () => control.abort(signal.reason);
	const timer = setTimeout(() => control.abort(LATE), DIAL_DEADLINE_MS);
	signal.addEventListener("abort", abort, { once: true });
	if (signal.aborted) abort();
	try {
		return await way(control.signal);
	} finally {
		clearTimeout(timer);
		signal.removeEventListener("abort", abort);
	}
}

/**
 * How long the other way may take in all once the server has answered one of them over HTTP, and not as a relay does: a server that is
 * none should not be waited for.
 */
const DOUBT_MS = 2_500;

const LATE: ErrorData = failure("timeout", `no answer within ${DIAL_DEADLINE_MS / 1000} s`);

const SILENT: ErrorData = final("no answer either");

/** Both ways. A failure of the first starts the second at once. */
function race(
	ways: { webtransport: Way; websocket: Way },
	delayMs: number,
	signal: AbortSignal,
): Promise<OpenTransport> {
	return new Promise((resolve, reject) => {
		const failures = new Map<string, ErrorData>();
		const losers = new AbortController();
		const began = performance.now();
		let settled = false;
		let second: (() => void) | undefined;
		let doubt: ReturnType<typeof setTimeout> | undefined;

		const run = (name: "webtransport" | "websocket", way: Way) => {
			attempt(way, losers.signal).then(won, (error: unknown) => lost(name, error as ErrorData));
		};
		const finish = () => {
			settled = true;
			clearTimeout(timer);
			clearTimeout(doubt);
			signal.removeEventListener("abort", abort);
			losers.abort(failure("cancelled", "the other transport was ready first"));
		};
		const won = (transport: OpenTransport) => {
			if (settled) return transport.discard();
			finish();
			const reasons = [...failures.values()].map((error) => error.message);
			if (transport.kind === "websocket" && reasons.length === 0) {
				reasons.push(`webtransport was not ready within its head start of ${delayMs} ms`);
			}
			resolve(reasons.length > 0 ? { ...transport, lost: reasons.join("; ") } : transport);
		};
		const lost = (name: string, error: ErrorData) => {
			if (settled) return;
			failures.set(name, error);
			// The other way leads to the same relay, which has decided.
			if (error.kind === "unauthorized") {
				finish();
				return reject(error);
			}
			second?.();
			if (failures.size < 2) {
				if (error.kind === "transport" && isNoRelay(error)) {
					doubt = setTimeout(() => losers.abort(SILENT), Math.max(0, began + DOUBT_MS - performance.now()));
				}
				return;
			}
			finish();
			reject(both(failures));
		};
		const abort = () => {
			if (settled) return;
			finish();
			reject(signal.reason);
		};
		const timer = setTimeout(() => second?.(), delayMs);
		second = () => {
			second = undefined;
			run("websocket", ways.websocket);
		};
		signal.addEventListener("abort", abort, { once: true });
		if (signal.aborted) return abort();
		run("webtransport", ways.webtransport);
	});
}

/** One error for both ways: the kind of the way that got further, the text of both. */
function both(failures: Map<string, ErrorData>): ErrorData {
	const errors = [...failures.values()];
	const texts = [...failures].map(([name, error]) =>
		error.message.startsWith(name) ? error.message : `${name}: ${error.message}`,
	);
	const late = errors.every((error) => error.kind === "timeout");
	const caller = errors.find((error) => error.kind === "usage");
	const kind = caller ? "usage" : late ? "timeout" : "transport";
	return { ...failure(kind, texts.join("; ")), retryable: errors.some(({ retryable }) => retryable) };
}
