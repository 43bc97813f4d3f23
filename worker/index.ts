/** The worker's entry: handshake, then one of two roles. `core` owns the protocol, `render` only draws. */

import { Core } from "./core/core.ts";
import { guarded, renderInit } from "./door/control.ts";
import { check } from "./door/schema.ts";
import { asErrorData } from "./failure.ts";
import { Host } from "./host/host.ts";
import { startRender } from "./media/render.ts";
import type { BootMessage, CoreInit, InitMessage, WasmLocator } from "./protocol/boot.ts";
import { BUILD_VERSION } from "./protocol/version.ts";
import { serveControl } from "./rpc/comlink.ts";
import { dial } from "./transport/dial.ts";

const tell = (message: BootMessage) => self.postMessage(message);

/** Every place the wasm may be, in the order to try. */
function places({ explicit, candidate }: WasmLocator): (string | ArrayBuffer | WebAssembly.Module)[] {
	if (explicit !== undefined) return [explicit];
	// A worker that came from a blob has nothing next to it.
	const beside = /^https?:/.test(self.location.protocol) ? [new URL("./core_bg.wasm", import.meta.url).href] : [];
	return [...new Set([...beside, ...(candidate === undefined ? [] : [candidate])])];
}

async function startCore({ wasm, control }: CoreInit): Promise<void> {
	const core = await Core.load({ wasm: places(wasm), onFatal: (error) => tell({ type: "fatal", error }) });
	serveControl(guarded(new Host(core, dial)), control);
}

self.onmessage = async ({ data }: MessageEvent<InitMessage>) => {
	self.onmessage = null;
	try {
		if (data.version !== BUILD_VERSION) {
			const message = `the worker has build ${BUILD_VERSION}, the page is ${data.version}: deploy both files together`;
			throw { kind: "version-mismatch", message };
		}
		if (data.role === "core") await startCore(data);
		else startRender(check(renderInit, data.render, "render"));
		tell({ type: "started" });
	} catch (error) {
		tell({ type: "failed", error: asErrorData(error) });
	}
};
tell({ type: "ready", version: BUILD_VERSION });
