/** Dial with the WebSocket fallback: WebTransport's streams multiplexed over one socket by `@moq/qmux`. */

import Qmux from "@moq/qmux";
import type { OpenTransport } from "../core/transport.ts";
import { REQUEST_STREAMS } from "../protocol/limits.ts";
import type { Address } from "./address.ts";
import { describe, failure, final } from "./failure.ts";
import type { WebTransportLike } from "./like.ts";
import type { PolicyWatch } from "./policy.ts";
import { openTransport } from "./pump.ts";
import { refusal } from "./refusal.ts";

/** What one dial is given. */
export interface WebSocketDial {
	address: Address;
	/** Sub-protocols in order of preference; each is offered under every framing the package knows. */
	protocols: string[];
	/** Ends the dial; its reason is thrown. */
	signal: AbortSignal;
	/** Knows what the page forbids. */
	policy: PolicyWatch;
}

/** Resolves when the session is ready. @throws ErrorData, or the signal's reason. */
export async function dialWebSocket({ address, protocols, signal, policy }: WebSocketDial): Promise<OpenTransport> {
	signal.throwIfAborted();
	const versions = Object.fromEntries(protocols.map((protocol) => [protocol, null]));
	let session: WebTransportLike;
	try {
		const config = { maxStreamsBidi: BigInt(REQUEST_STREAMS) };
		session = new Qmux(address.webSocket, { protocols, versions, config });
	} catch (error) {
		throw failure("transport", `websocket to ${address.webSocket.host}: ${describe(error)}`);
	}
	session.closed.catch(ignore);
	let abort: (() => void) | undefined;
	const aborted = new Promise<never>((_, reject) => {
		abort = () => reject(signal.reason);
		signal.addEventListener("abort", abort, { once: true });
	});
	try {
		await Promise.race([session.ready, aborted]);
	} catch (error) {
		session.close();
		if (signal.aborted) throw signal.reason;
		const remedy = await policy.remedy(address.webSocket);
		if (remedy) throw final(`websocket to ${address.webSocket.host}: ${remedy}`);
		const refused = await refusal(address.webSocket, signal);
		if (signal.aborted) throw signal.reason;
		if (refused) throw refused;
		throw failure(
			"transport",
			`websocket to ${address.webSocket.host}: ${describe(error)} ` +
				"(nothing answers there, its certificate is not trusted, or it refused the path or every sub-protocol)",
		);
	} finally {
		if (abort) signal.removeEventListener("abort", abort);
	}
	return openTransport("websocket", session);
}

function ignore(): void {}
