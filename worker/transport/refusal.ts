/** Why a relay refuses a WebSocket. Browsers keep the status of a failed upgrade to themselves. */

import type { ErrorData } from "../protocol/error.ts";
import { answers, failure, noRelay } from "./failure.ts";

/** The answer must not hold up the failure it explains for long. */
const ASK_DEADLINE_MS = 1_500;

/** Longest explanation taken from a relay. */
const TEXT_CHARS = 200;

/**
 * Ask the server of a WebSocket over HTTP, with the same path and token, whether those are what it refuses: relays check
 * `/announced` by the same rules; or whether it is no relay. Undefined when neither is the reason, or nobody knows.
 */
export async function refusal(webSocket: URL, signal: AbortSignal): Promise<ErrorData | undefined> {
	const url = new URL(webSocket);
	url.protocol = webSocket.protocol === "ws:" ? "http:" : "https:";
	url.pathname = `/announced${webSocket.pathname === "/" ? "" : webSocket.pathname}`;
	const control = new AbortController();
	const abort = () => control.abort();
	const timer = setTimeout(abort, ASK_DEADLINE_MS);
	signal.addEventListener("abort", abort, { once: true });
	try {
		const response = await fetch(url, {
			signal: control.signal,
			cache: "no-store",
			credentials: "omit",
			redirect: "error",
			referrerPolicy: "no-referrer",
		});
		if (response.status !== 401 && response.status !== 403) {
			await response.body?.cancel();
			// A relay knows this address, and lists what is announced there.
			const isPage = response.headers.get("content-type")?.startsWith("text/html");
			return response.ok && !isPage ? undefined : noRelay(`websocket to ${webSocket.host}`);
		}
		const text = (await response.text()).trim().slice(0, TEXT_CHARS);
		const what = `${webSocket.host} does not let this client in (${response.status})`;
		return { ...failure("unauthorized", text === "" ? what : `${what}: ${text}`), reason: text };
	} catch {
		// Not there, not speaking HTTP, or not for pages of this origin.
		return (await answers(url, control.signal)) ? noRelay(`websocket to ${webSocket.host}`) : undefined;
	} finally {
		clearTimeout(timer);
		signal.removeEventListener("abort", abort);
	}
}
