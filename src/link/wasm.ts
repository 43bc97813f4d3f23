import type { WasmLocator } from "../../worker/protocol/boot.ts";
import { failure, usage } from "../handle/error.ts";
import { embedded } from "./embedded.ts";

/** Where the wasm comes from, when not from next to the worker. */
export type WasmSource = URL | string | Response | WebAssembly.Module | BufferSource;

/** In the form the worker can be told. A Response is read here: it cannot cross. */
export async function wasmLocator(source: WasmSource | undefined): Promise<WasmLocator> {
	if (source === undefined) {
		// The literal makes bundlers emit the file. Some of them turn it into a path, which means nothing in a blob worker.
		return embedded
			? { explicit: await unpack(embedded.wasm) }
			: { candidate: new URL(new URL("./core_bg.wasm", import.meta.url), location.href).href };
	}
	if (typeof source === "string" || source instanceof URL) {
		return { explicit: new URL(source, location.href).href };
	}
	if (source instanceof Response) return { explicit: await body(source) };
	if (source instanceof WebAssembly.Module) return { explicit: source };
	if (source instanceof ArrayBuffer) return { explicit: source.slice(0) };
	if (ArrayBuffer.isView(source)) {
		// A copy: the caller's bytes stay its own, and may be part of something larger.
		return { explicit: new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice().buffer };
	}
	throw usage("wasm must be an address, a Response, a WebAssembly.Module or bytes");
}

function unpack(base64: string): Promise<ArrayBuffer> {
	const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
	return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

async function body(response: Response): Promise<ArrayBuffer> {
	if (response.ok) return await response.arrayBuffer();
	const message = `the wasm option is a response with status ${response.status} from ${response.url}`;
	throw failure("worker-load", message);
}
