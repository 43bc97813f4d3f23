import { failure, usage } from "../handle/error.ts";
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
 * @throws WorkerLoadError naming what was tried.
 */
export async function spawn(source: WorkerSource | undefined, name: string): Promise<Spawned> {
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
		return await fromText(url, name);
	}
	const url = new URL(import.meta.url);
	if (url.origin !== location.origin && url.protocol !== "file:") {
		return await fromText(new URL("./worker.js", url), name);
	}
	// One expression, all literal and without a name: this is what every bundler recognises and rewrites.
	const worker = trusted(() => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }));
	return { worker, origin: new URL("./worker.js", url).href, started: nothing };
}

function nothing(): void {
	// Nothing was made for the start alone.
}

/** Needs only `connect-src` for the script and `worker-src blob:`; importing the address from a blob would need more. */
async function fromText(url: URL, name: string): Promise<Spawned> {
	let text: string;
	try {
		const response = await fetch(url);
		if (!response.ok) throw new Error(`status ${response.status}`);
		text = await response.text();
	} catch (error) {
		const why = error instanceof Error ? error.message : String(error);
		const message =
			`the worker is on another origin and could not be fetched from ${url.href}: ${why} ` +
			"(that origin has to allow it, and so does connect-src of this page's content security policy)";
		throw failure("worker-load", message);
	}
	const blob = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
	const worker = trusted(() => new Worker(blob, { type: "module", name }));
	return { worker, origin: `${url.href} (through a blob)`, started: () => URL.revokeObjectURL(blob) };
}
