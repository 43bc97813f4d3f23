import { START_DEADLINE_MS } from "../../worker/protocol/limits.ts";
import { failure, usage } from "../handle/error.ts";
import { embedded } from "./embedded.ts";
import { trusted } from "./policy.ts";

/** Where the worker comes from, when not from next to this file. A function may be called again for another role. */
export type WorkerSource = Worker | URL | string | (() => Worker);

/** A worker that was asked for, and what to say about it when it does not come up. */
export interface Spawned {
	worker: Worker;
	/** Its address, or which option it came from. */
	origin: string;
	/** Free what only the start needs. */
	started(): void;
}

/**
 * Start a worker. Cross-origin scripts cannot be workers: their text is fetched and started from a blob.
 * @throws WorkerLoadError naming what was tried, or the signal's reason.
 */
export async function spawn(source: WorkerSource | undefined, name: string, signal: AbortSignal): Promise<Spawned> {
	if (source instanceof Worker) return { worker: source, origin: "the Worker given as option", started: nothing };
	if (typeof source === "function") {
		const worker = source();
		if (!(worker instanceof Worker)) throw usage("the worker option is a function that did not return a Worker");
		return { worker, origin: "the function given as worker option", started: nothing };
	}
	if (source !== undefined) {
		const url = new URL(source, location.href);
		if (url.origin === location.origin || url.protocol === "blob:" || url.protocol === "data:") {
			const worker = trusted(() => new Worker(url, { type: "module", name }));
			return { worker, origin: url.href, started: nothing };
		}
		return fromText(await download(url, signal), name, `${url.href} (through a blob)`);
	}
	return embedded ? fromText(embedded.worker, name, "this file itself") : await beside(name, signal);
}

/** The worker that lies next to this file. */
async function beside(name: string, signal: AbortSignal): Promise<Spawned> {
	// Bundlers follow this as the address of a plain file; some of them turn it into a path.
	const url = new URL(new URL("./worker.js", import.meta.url), location.href);
	if (url.origin !== location.origin && url.protocol !== "file:") {
		return fromText(await download(url, signal), name, `${url.href} (through a blob)`);
	}
	// One expression, all literal and without a name: this is what every bundler recognises and rewrites.
	const worker = trusted(() => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }));
	return { worker, origin: url.href, started: nothing };
}

function nothing(): void {
	// Nothing was made for the start alone.
}

/** Needs `connect-src` for the script, and its origin has to allow it; importing the address from a blob would need more. */
async function download(url: URL, signal: AbortSignal): Promise<string> {
	const late = new AbortController();
	const abort = () => late.abort(signal.reason);
	const timer = setTimeout(
		() => late.abort(new Error(`no answer within ${START_DEADLINE_MS / 1000} s`)),
		START_DEADLINE_MS,
	);
	signal.addEventListener("abort", abort, { once: true });
	if (signal.aborted) abort();
	try {
		const response = await fetch(url, { signal: late.signal });
		if (!response.ok) throw new Error(`status ${response.status}`);
		return await response.text();
	} catch (error) {
		if (signal.aborted) throw signal.reason;
		const why = error instanceof Error ? error.message : String(error);
		const message =
			`the worker is on another origin and could not be fetched from ${url.href}: ${why} ` +
			"(that origin has to allow it, and so does connect-src of this page's content security policy)";
		throw failure("worker-load", message);
	} finally {
		clearTimeout(timer);
		signal.removeEventListener("abort", abort);
	}
}

/** Needs `worker-src blob:`, or `data:` in a frame without an origin, where a worker from a blob has no WebTransport. */
function fromText(text: string, name: string, origin: string): Spawned {
	const make = (url: string) => trusted(() => new Worker(url, { type: "module", name }));
	if (self.origin === "null") {
		return { worker: make(`data:text/javascript,${encodeURIComponent(text)}`), origin, started: nothing };
	}
	const blob = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
	return { worker: make(blob), origin, started: () => URL.revokeObjectURL(blob) };
}
