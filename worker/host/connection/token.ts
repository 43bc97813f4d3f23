import type { DialData } from "../../protocol/control.ts";
import type { PagePort } from "./page-port.ts";

/**
 * Where to dial, with a token of now: the page is asked, if it has a function for that and the peer, which named `uri`, gave none along.
 * @throws ErrorData of the page, or the signal's reason.
 */
export async function freshToken(port: PagePort, to: DialData, uri: string, signal: AbortSignal): Promise<DialData> {
	if (!to.asksToken || (uri !== "" && new URL(uri).searchParams.has("jwt"))) return to;
	const { token, error } = await port.askToken(signal);
	if (error) throw error;
	return { ...to, url: withToken(to.url, token) };
}

function withToken(address: string, token: unknown): string {
	const url = new URL(address);
	if (typeof token === "string" && token !== "") url.searchParams.set("jwt", token);
	else url.searchParams.delete("jwt");
	return url.href;
}
