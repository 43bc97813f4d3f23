/** What is said on the worker's own channel: start, and the end of everything. All else has ports of its own. */

import type { ErrorData } from "./error.ts";
import type { RenderInit } from "./media.ts";

/** Where the core may come from. The worker tries in this order and lists every attempt when all fail. */
export interface WasmLocator {
	/** What the caller asked for: nothing else is tried then. */
	explicit?: string | ArrayBuffer | WebAssembly.Module;
	/** Absolute address of the file next to the facade, for a worker whose own address is a blob. */
	candidate?: string;
}

/** Start as the owner of the core and of every connection. */
export interface CoreInit {
	type: "init";
	role: "core";
	/** Build version of the facade. */
	version: string;
	wasm: WasmLocator;
	/** The control plane is served here. */
	control: MessagePort;
}

/** Start as a drawer of pictures: no core, no control plane, only the ports in `render`. */
export interface RoleRenderInit {
	type: "init";
	role: "render";
	/** Build version of the facade. */
	version: string;
	render: RenderInit;
}

/** Page to worker, once, after `ready`. */
export type InitMessage = CoreInit | RoleRenderInit;

/** Worker to page. */
export type BootMessage =
	/** The listener for `init` is registered. `version` is the worker's build version. */
	| { type: "ready"; version: string }
	/** The role is up: calls are answered from now on. */
	| { type: "started" }
	/** The role could not start. Nothing follows. */
	| { type: "failed"; error: ErrorData }
	/** The core is gone (panic, trap). Nothing follows; every pending call and port is dead. */
	| { type: "fatal"; error: ErrorData };
