/** Dial with the browser's own WebTransport. */

import type { OpenTransport } from "../core/transport.ts";
import type { Address } from "./address.ts";
import { type CertificateHash, fetchHash } from "./certificate.ts";
import { describe, failure } from "./failure.ts";
import type { WebTransportLike } from "./like.ts";
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
}

/** Options newer than the DOM library's types. */
interface Options extends WebTransportOptions {
	protocols: string[];
}

/** Why WebTransport cannot even be tried here, if so. */
export function missing(): string | undefined {
	if (typeof WebTransport !== "undefined") return undefined;
	return globalThis.isSecureContext === false
		? "WebTransport exists on https pages and localhost only"
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
		// A pooled connection takes neither certificate hashes nor a close of its own.
		allowPooling: false,
		...(hashes.length > 0 ? { serverCertificateHashes: hashes } : {}),
	};
	const session = construct(dial.address.webTransport, options);
	session.closed.catch(ignore);
	await ready(session, dial, hashes.length > 0);
	return openTransport("webtransport", session);
}

async function acceptable({ address, hashes, signal }: WebTransportDial): Promise<CertificateHash[]> {
	if (hashes.length > 0) return hashes;
	return address.certificate ? fetchHash(address.certificate, signal) : [];
}

function construct(url: URL, options: Options): WebTransportLike {
	try {
		return new WebTransport(url.href, options);
	} catch (error) {
		throw failure("transport", `webtransport: ${describe(error)}`);
	}
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
		// The browser does not tell a page why a handshake failed, so name what it can be.
		const certificate = pinned ? "its certificate has another hash" : "its certificate is not trusted";
		throw failure(
			"transport",
			`webtransport to ${address.webTransport.host}: ${describe(error)} ` +
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
