import type { DialData } from "../protocol/control.ts";
import type { ConnectionEvent, ConnectionRequest } from "../protocol/port.ts";

/**
 * Where to dial when the peer named `uri`, with a token of now: the page is asked on its port, if it has a function for that and
 * the peer gave none along. Waits as long as the page does. @throws ErrorData of the page, or the signal's reason.
 */
export function freshToken(port: MessagePort, to: DialData, uri: string, signal: AbortSignal): Promise<DialData> {
	if (!to.asksToken || (uri !== "" && new URL(uri).searchParams.has("jwt"))) return Promise.resolve(to);
	return new Promise((resolve, reject) => {
		const abort = () => settle(() => reject(signal.reason));
		const settle = (how: () => void) => {
			port.onmessage = null;
			signal.removeEventListener("abort", abort);
			how();
		};
		port.onmessage = ({ data }: MessageEvent<ConnectionRequest>) => {
			settle(() => (data.error ? reject(data.error) : resolve({ ...to, url: withToken(to.url, data.token) })));
		};
		signal.addEventListener("abort", abort, { once: true });
		port.postMessage({ type: "token" } satisfies ConnectionEvent);
	});
}

function withToken(address: string, token: unknown): string {
	const url = new URL(address);
	if (typeof token === "string" && token !== "") url.searchParams.set("jwt", token);
	else url.searchParams.delete("jwt");
	return url.href;
}
