/** Dial with the browser's own WebTransport. */

import type { OpenTransport } from "../core/transport.ts";
import { REQUEST_STREAMS } from "../protocol/limits.ts";
import type { Address } from "./address.ts";
import { type CertificateHash, fetchHash } from "./certificate.ts";
import { describe, failure, final } from "./failure.ts";
import type { WebTransportLike } from "./like.ts";
import type { PolicyWatch } from "./policy.ts";
import { openTransport } from "./pump.ts";

/** What one dial is given. */
export interface WebTransportDial {
	address: Address;
	/** Sub-protocols in order of preference. */
	protocols: string[];
	/** Hashes of acceptable certificates; none: the platform's trust, or what an http server publishes. */
	hashes: CertificateHash[];
	/** Ends the dial; its reason is thrown. */
	signal: AbortSignal;
	/** Knows what the page forbids. */
	policy: PolicyWatch;
}

/** Options newer than the DOM library's types. */
interface Options extends WebTransportOptions {
	protocols: string[];
	anticipatedConcurrentIncomingBidirectionalStreams: number;
}

/** Why WebTransport cannot even be tried here, if so. */
export function missing(): string | undefined {
	if (typeof WebTransport !== "undefined") return undefined;
	return globalThis.isSecureContext === false
		? "this page is no secure context, as https pages and those of localhost are: it has no WebTransport, and no WebCodecs for media"
		: "this browser has no WebTransport";
}

/** Resolves when the session is ready. @throws ErrorData, or the signal's reason. */
export async function dialWebTransport(dial: WebTransportDial): Promise<OpenTransport> {
	const absent = missing();
	if (absent) throw failure("unsupported", absent);
	const hashes = await acceptable(dial);
	dial.signal.throwIfAborted();
	const options: Options = {
		protocols: dial.protocols,
		congestionControl: "low-latency",
		// Chromium 156 does not read it, and takes 100.
		anticipatedConcurrentIncomingBidirectionalStreams: REQUEST_STREAMS,
		// A pooled connection takes neither certificate hashes nor a close of its own.
		allowPooling: false,
		...(hashes.length > 0 ? { serverCertificateHashes: hashes } : {}),
	};
	const session = construct(reachable(dial.address.webTransport, hashes.length > 0), options);
	session.closed.catch(ignore);
	await ready(session, dial, hashes.length > 0);
	return openTransport("webtransport", session);
}

async function acceptable({ address, hashes, signal, policy }: WebTransportDial): Promise<CertificateHash[]> {
	if (hashes.length > 0) return hashes;
	return address.certificate ? fetchHash(address.certificate, signal, policy) : [];
}

/**
 * `localhost` has two addresses, of which the browser tries one and a relay often has the other. A certificate that is known by its
 * hash is not held against the name.
 */
function reachable(url: URL, pinned: boolean): URL {
	if (!pinned || url.hostname !== "localhost") return url;
	const there = new URL(url);
	there.hostname = "127.0.0.1";
	return there;
}

function construct(url: URL, options: Options): WebTransportLike {
	try {
		return new WebTransport(url.href, options);
	} catch (error) {
		throw failure("transport", `webtransport: ${describe(error)}`);
	}
}

/** What to do about a relay that has made its certificate itself. */
function own({ webTransport: { hostname, host } }: Address): string {
	const isHere = hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.");
	const hashes = "serverCertificateHashes";
	return isHere
		? `: one of its own needs http://${host} as the address, or ${hashes}`
		: `: one of its own needs ${hashes}`;
}

async function ready(session: WebTransportLike, dial: WebTransportDial, pinned: boolean): Promise<void> {
	const { signal, address } = dial;
	let abort: (() => void) | undefined;
	const aborted = new Promise<never>((_, reject) => {
		abort = () => reject(signal.reason);
		signal.addEventListener("abort", abort, { once: true });
	});
	try {
		await Promise.race([session.ready, aborted]);
	} catch (error) {
		close(session);
		if (signal.aborted) throw signal.reason;
		const { host } = address.webTransport;
		const remedy =
			(await dial.policy.remedy(address.webTransport)) ??
			(await dial.policy.remedy(reachable(address.webTransport, pinned)));
		if (remedy) throw final(`webtransport to ${host}: ${remedy}`);
		// The browser does not tell a page why a handshake failed, so name what it can be.
		const certificate = pinned ? "its certificate has another hash" : `its certificate is not trusted${own(address)}`;
		throw failure(
			"transport",
			`webtransport to ${host}: ${describe(error)} ` +
				`(nothing answers there over UDP, ${certificate}, or it refused the path)`,
		);
	} finally {
		if (abort) signal.removeEventListener("abort", abort);
	}
}

function close(session: WebTransportLike): void {
	try {
		session.close();
	} catch {
		// Some engines throw while the handshake is under way; the object is dropped either way.
	}
}

function ignore(): void {}
