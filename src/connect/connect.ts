import { type Pending, running } from "../handle/pending.ts";
import type { Connection } from "./connection.ts";
import { type DialOptions, dialData } from "./options.ts";
import { loadRuntime, type Runtime } from "./runtime.ts";

/** Options of {@link connect}. */
export interface ConnectOptions extends DialOptions {
	/** The worker to use. Default: one that all connections of the page without this option share. */
	runtime?: Runtime;
}

let shared: Pending<Runtime> | undefined;

/** The page's own runtime: started by the first who needs it, and again when it has died. */
function sharedRuntime(): Pending<Runtime> {
	if (shared?.status === "rejected" || shared?.value?.error) shared = undefined;
	shared ??= loadRuntime();
	return shared;
}

/**
 * Connect to a relay. `url` is its `https:` address; the path is the part of its namespace that is asked for. With an
 * `http:` address, for development, the relay's certificate is fetched from there first.
 *
 * Rejects with a TransportError when nothing can be reached, an UnauthorizedError when the relay does not let this token
 * in (trying again is of no use then) or the token function fails, a VersionError when it speaks no version of ours, a
 * TimeoutError after 15 s, a WorkerError when the worker does not come up, a UsageError for a wrong option.
 */
export function connect(url: string | URL, options: ConnectOptions = {}): Pending<Connection> {
	return running(() => {
		// What is wrong with the arguments is said before anything is loaded.
		dialData(url, options);
		return (signal) => open(url, options, signal);
	}, options);
}

async function open(url: string | URL, options: ConnectOptions, signal: AbortSignal): Promise<Connection> {
	const runtime = options.runtime ?? (await sharedRuntime());
	signal.throwIfAborted();
	return await runtime.connect(url, { ...options, signal });
}
