import type { DialData, WorkerStats } from "../../worker/protocol/control.ts";
import { BUILD_VERSION } from "../../worker/protocol/version.ts";
import { asyncDisposeBy, tag } from "../handle/dispose.ts";
import { failure, MoqError, usage } from "../handle/error.ts";
import { Pending, running, type WaitOptions } from "../handle/pending.ts";
import { Link } from "../link/link.ts";
import { type Spawned, spawn, type WorkerSource } from "../link/spawn.ts";
import { startWorker } from "../link/start.ts";
import { type WasmSource, wasmLocator } from "../link/wasm.ts";
import { makeOrigin, type Origin } from "../model/origin.ts";
import { type Connection, openConnection } from "./connection.ts";
import { type DialOptions, dialData, withToken } from "./options.ts";
import { askToken } from "./token.ts";

/** Options of {@link loadRuntime}. */
export interface RuntimeOptions extends WaitOptions {
	/**
	 * The worker script, or a worker made from it. A function may be called again, for a worker that draws; with a
	 * ready-made Worker drawing stays in that one. Default: `worker.js` next to this file.
	 */
	worker?: WorkerSource;
	/** The core. Default: `core_bg.wasm` next to the worker, or next to this file. */
	wasm?: WasmSource;
	/** Shown by developer tools, for a worker that comes from an address given here. Default "moq-worker". */
	name?: string;
}

/** Live objects of page and worker; every count returns to its start when everything was closed. */
export interface RuntimeStats extends WorkerStats {
	/** Handles of the page that have not ended, and calls to the worker without an answer. */
	page: { handles: number; calls: number };
}

/** Makes the object users hold, around a worker that is up. */
export let makeRuntime: (link: Link) => Runtime;

/** One worker with its core. It may carry many connections; origins can be shared between connections of one runtime. */
export class Runtime {
	readonly #link: Link;

	private constructor(link: Link) {
		this.#link = link;
	}

	static {
		makeRuntime = (link) => new Runtime(link);
	}

	/** Build version of page and worker. */
	get version(): string {
		return BUILD_VERSION;
	}

	/** Why the worker is gone, once it is. */
	get error(): MoqError | undefined {
		return this.#link.dead;
	}

	/** A new, empty origin, to be shared by connections of this runtime. */
	origin(): Origin {
		return makeOrigin(this.#link);
	}

	/** Connect to a relay by way of this worker. */
	connect(url: string | URL, options: DialOptions = {}): Pending<Connection> {
		return running(() => {
			if (this.#link.dead) throw this.#link.dead;
			const dial = dialData(url, options);
			return (signal) => this.#connect(dial, options, signal);
		}, options);
	}

	/** Live objects of page and worker, for tests and figures. */
	stats(options?: WaitOptions): Pending<RuntimeStats> {
		return new Pending((resolve, reject) => {
			this.#link.stats({ resolve: (stats) => resolve({ ...stats, page: this.#link.live }), reject });
			return undefined;
		}, options);
	}

	/** Close every connection and end the worker. Whatever waits rejects with a ClosedError now. */
	close(): Promise<void> {
		return this.#link.close(failure("closed", "the runtime was closed"));
	}

	/** `close()`, for `await using`; present where the engine has the symbol. */
	declare [Symbol.asyncDispose]: () => Promise<void>;

	async #connect(dial: DialData, options: DialOptions, signal: AbortSignal): Promise<Connection> {
		const asked = await askToken(options.token, signal);
		const shared = options.publish && options.consume ? undefined : makeOrigin(this.#link);
		const publish = options.publish ?? shared;
		const consume = options.consume ?? shared;
		if (!publish || !consume) throw usage("publish and consume must be origins");
		try {
			const addressed = asked === undefined ? dial : withToken(dial, asked);
			const { token } = options;
			return await openConnection(
				this.#link,
				addressed,
				{ runtime: this, publish, consume, own: shared, token },
				{ signal },
			);
		} catch (error) {
			shared?.close();
			throw error;
		}
	}
}

/**
 * Start a worker with its core. {@link connect} does this on its own; use it to say where the files are, or to have a
 * worker of one's own.
 */
export function loadRuntime(options: RuntimeOptions = {}): Pending<Runtime> {
	return running(() => {
		if (typeof Worker === "undefined" || typeof location === "undefined") {
			throw usage(
				"this needs a browser: call it on the client only (in a mount hook or an effect), not during rendering on a server",
			);
		}
		return (signal) => load(options, signal);
	}, options);
}

async function load(options: RuntimeOptions, signal: AbortSignal): Promise<Runtime> {
	const wasm = await wasmLocator(options.wasm);
	signal.throwIfAborted();
	const spawned = await spawnOrExplain(options, signal);
	const control = new MessageChannel();
	const { worker } = spawned;
	let link: Link | undefined;
	const init = {
		message: { type: "init", role: "core", version: BUILD_VERSION, wasm, control: control.port2 } as const,
		transfer: [control.port2],
	};
	try {
		await startWorker(spawned, init, signal, (error) => link?.die(error));
	} catch (error) {
		control.port1.close();
		throw error;
	}
	link = new Link(control.port1, () => worker.terminate(), options.worker);
	return makeRuntime(link);
}

async function spawnOrExplain(options: RuntimeOptions, signal: AbortSignal): Promise<Spawned> {
	try {
		return await spawn(options.worker, options.name ?? "moq-worker", signal);
	} catch (error) {
		if (error instanceof MoqError || signal.aborted) throw error;
		// SecurityError: cross-origin, or forbidden by policy; thrown at once, unlike a script that does not load.
		const why = error instanceof Error ? error.message : String(error);
		throw failure("worker-load", `the worker could not be created: ${why}`);
	}
}

tag(Runtime, "Runtime");
asyncDisposeBy(Runtime, "close");
