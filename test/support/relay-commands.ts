// What a browser test may do with relays of its own: they are processes, which only the side of Node can start and signal.
import type { BrowserCommand } from "vitest/node";
import { startOurRelay } from "./relay.mjs";

type Relay = Awaited<ReturnType<typeof startOurRelay>>;

/** How a relay ended that was told to. */
export interface RelayEnd {
	/** Its exit code. */
	code: number;
	/** How long it took. */
	ms: number;
}

const relays = new Map<string, Relay>();

/** Starts an embedded relay with these flags, on this port (0: any); resolves to its http: URL. */
export const startRelay: BrowserCommand<[args: string[], port?: number]> = async (_, args, port = 0) => {
	const relay = await startOurRelay({ args, port });
	relays.set(relay.url, relay);
	return relay.url;
};

/** Signals a relay, and waits until it has ended. */
export const signalRelay: BrowserCommand<[url: string, signal: "SIGTERM" | "SIGKILL"]> = async (_, url, signal) => {
	const relay = relays.get(url);
	if (!relay) throw new Error(`there is no relay at ${url}`);
	relays.delete(url);
	const began = performance.now();
	process.kill(relay.pid, signal);
	const { code } = await relay.ended;
	return { code, ms: performance.now() - began };
};

declare module "vitest/browser" {
	interface BrowserCommands {
		startRelay(args: string[], port?: number): Promise<string>;
		signalRelay(url: string, signal: "SIGTERM" | "SIGKILL"): Promise<RelayEnd>;
	}
}
