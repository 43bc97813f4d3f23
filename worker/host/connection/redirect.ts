import type { DialData } from "../../protocol/control.ts";

/** Longest address a peer may send us to, bytes. */
const MAX_URI = 8192;

/**
 * Where to dial when the peer asks us to move to `uri` (empty: to the same place). Undefined: not there. A secure address stays
 * secure, and what belongs to one server (token, certificate hashes, address of its fallback) is not shown to another.
 */
export function redirected(dial: DialData, uri: string): DialData | undefined {
	if (uri === "") return dial;
	if (uri.length > MAX_URI || !URL.canParse(uri)) return undefined;
	const [from, to] = [new URL(dial.url), new URL(uri)];
	if (to.protocol !== "https:" && to.protocol !== from.protocol) return undefined;
	if (to.username !== "" || to.password !== "") return undefined;
	to.hash = "";
	if (to.origin !== from.origin) {
		const { serverCertificateHashes: _hashes, asksToken: _asks, websocket, ...rest } = dial;
		return { ...rest, url: to.href, websocket: websocket.delayMs === undefined ? {} : { delayMs: websocket.delayMs } };
	}
	const token = from.searchParams.get("jwt");
	if (token !== null && !to.searchParams.has("jwt")) to.searchParams.set("jwt", token);
	return { ...dial, url: to.href };
}
