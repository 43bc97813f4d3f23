/** Get the wasm from wherever it may be, and say exactly what went wrong where it was not. */

import init, { type InitOutput } from "../../wasm/bindings/pkg/core.js";
import type { ErrorData } from "../protocol/error.ts";

/** Where the wasm may come from. */
export type WasmSource = string | URL | Response | WebAssembly.Module | BufferSource;

/** First bytes of every wasm file. */
const MAGIC = [0x00, 0x61, 0x73, 0x6d];

let loading: Promise<InitOutput> | undefined;

/**
 * Instantiate from the first source that works. The module is a singleton of this worker: later calls get the first
 * instance, whatever they name; a failed attempt may be repeated.
 * @throws ErrorData of kind `worker-load` that lists every source tried with its reason.
 */
export function load(sources: readonly WasmSource[]): Promise<InitOutput> {
	loading ??= first(sources).catch((error: unknown) => {
		loading = undefined;
		throw error;
	});
	return loading;
}

async function first(sources: readonly WasmSource[]): Promise<InitOutput> {
	const reasons: string[] = [];
	for (const source of sources) {
		try {
			return await instantiate(source);
		} catch (error) {
			reasons.push(`${name(source)}: ${reason(error)}`);
		}
	}
	throw {
		kind: "worker-load",
		message:
			reasons.length > 0 ? `the core could not be loaded: ${reasons.join("; ")}` : "no place to load the core from",
	} satisfies ErrorData;
}

/** What a source failed with, and what to do where the page itself forbids it. */
function reason(error: unknown): string {
	const message = error instanceof Error ? error.message : String(error);
	if (/unsafe-eval|Content Security Policy/i.test(message)) {
		return `the content security policy forbids it: script-src has to list 'wasm-unsafe-eval' (${message})`;
	}
	return message;
}

async function instantiate(source: WasmSource): Promise<InitOutput> {
	if (source instanceof WebAssembly.Module) return init({ module_or_path: source });
	if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
		const bytes = source instanceof ArrayBuffer ? new Uint8Array(source) : view(source);
		checkMagic(bytes);
		return init({ module_or_path: bytes });
	}
	const response = source instanceof Response ? source : await fetch(source, { credentials: "same-origin" });
	return fromResponse(response);
}

async function fromResponse(response: Response): Promise<InitOutput> {
	if (!response.ok) throw new Error(`status ${response.status}`);
	const type = response.headers.get("content-type") ?? "";
	// The right type compiles while it downloads; the engine checks the magic bytes itself then.
	if (type.startsWith("application/wasm"))
		return init({ module_or_path: await WebAssembly.compileStreaming(response) });
	// Single-page servers answer missing files with a page: only the bytes tell.
	const bytes = new Uint8Array(await response.arrayBuffer());
	checkMagic(bytes, type);
	console.warn(`moq-worker: the core came as "${type}"; serve it as application/wasm to start faster`);
	return init({ module_or_path: bytes });
}

function checkMagic(bytes: Uint8Array, type?: string): void {
	if (MAGIC.every((byte, index) => bytes[index] === byte)) return;
	throw new Error(
		type === undefined ? "not a wasm file" : `not a wasm file but "${type}" of ${bytes.byteLength} bytes`,
	);
}

function view(source: ArrayBufferView): Uint8Array<ArrayBuffer> {
	return new Uint8Array(source.buffer as ArrayBuffer, source.byteOffset, source.byteLength);
}

function name(source: WasmSource): string {
	if (typeof source === "string" || source instanceof URL) return withoutQuery(String(source));
	if (source instanceof Response) return withoutQuery(source.url) || "the given response";
	return source instanceof WebAssembly.Module ? "the given module" : "the given bytes";
}

function withoutQuery(url: string): string {
	return url.startsWith("data:") ? "data: URL" : (url.split(/[?#]/, 1)[0] ?? url);
}
