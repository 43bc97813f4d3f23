/** The addresses a dial needs, made from the one the caller gave. */

import { failure } from "./failure.ts";

/** Where to dial. */
export interface Address {
	/** For WebTransport: always https. */
	webTransport: URL;
	/** For the WebSocket fallback: wss, or ws when the caller gave http. */
	webSocket: URL;
	/** Where an http server publishes the hash of its certificate; absent for https. */
	certificate?: URL;
	/** Remembered results and error texts go by this: no path, no query, no token. */
	origin: string;
}

/**
 * Take an http(s) URL apart.
 * @throws ErrorData of kind `usage` for anything else.
 */
export function address(url: string, webSocketUrl?: string): Address {
	const base = parse(url, "url", ["https:", "http:"]);
	const webTransport = new URL(base);
	webTransport.protocol = "https:";
	// http and https have different default ports: the one that was meant has to be spelled out.
	if (base.protocol === "http:" && base.port === "") webTransport.port = "80";
	const webSocket = webSocketUrl === undefined ? new URL(base) : parse(webSocketUrl, "websocket.url", SOCKET_SCHEMES);
	if (webSocket.protocol === "http:") webSocket.protocol = "ws:";
	if (webSocket.protocol === "https:") webSocket.protocol = "wss:";
	const origin = `${base.protocol}//${base.host}`;
	if (base.protocol === "https:") return { webTransport, webSocket, origin };
	return { webTransport, webSocket, origin, certificate: new URL("/certificate.sha256", base.origin) };
}

const SOCKET_SCHEMES = ["wss:", "ws:", "https:", "http:"];

function parse(url: string, option: string, schemes: string[]): URL {
	let parsed: URL;
	try {
		parsed = new URL(url);
	} catch {
		throw failure("usage", `${option} is not an absolute URL`);
	}
	if (!schemes.includes(parsed.protocol)) {
		throw failure("usage", `${option} has the scheme ${parsed.protocol} instead of ${schemes.join(" or ")}`);
	}
	// Fragments are for pages; both constructors refuse them.
	parsed.hash = "";
	return parsed;
}
