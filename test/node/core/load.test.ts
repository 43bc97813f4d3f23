import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { load } from "../../../worker/core/load.ts";
import type { ErrorData } from "../../../worker/protocol/error.ts";

const wasm = readFileSync(new URL("../../../wasm/bindings/pkg/core_bg.wasm", import.meta.url));

let server: Server;
let base: string;

beforeAll(async () => {
	server = createServer((request, response) => {
		if (request.url === "/missing.wasm") response.writeHead(404).end("nothing here");
		else if (request.url === "/page.wasm")
			response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html>");
		else if (request.url?.startsWith("/lie.wasm")) {
			response.writeHead(200, { "content-type": "application/wasm" }).end("<!doctype html>");
		} else response.writeHead(200, { "content-type": "application/octet-stream" }).end(wasm);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
	server.close();
});

async function failureOf(...sources: Parameters<typeof load>[0]): Promise<ErrorData> {
	try {
		await load(sources);
	} catch (error) {
		return error as ErrorData;
	}
	throw new Error("it loaded");
}

// One file, in this order: the first success is kept for the life of the module.
test("every source that failed is named with its reason, without its query", async () => {
	const error = await failureOf(
		`${base}/missing.wasm`,
		`${base}/page.wasm`,
		`${base}/lie.wasm?token=secret`,
		"http://127.0.0.1:1/closed.wasm",
		new Uint8Array([1, 2, 3, 4]),
	);
	expect(error.kind).toBe("worker-load");
	expect(error.message).toContain(`${base}/missing.wasm: status 404`);
	expect(error.message).toContain(`${base}/page.wasm: not a wasm file but "text/html" of 15 bytes`);
	expect(error.message).toContain(`${base}/lie.wasm: `);
	expect(error.message).toContain("http://127.0.0.1:1/closed.wasm: ");
	expect(error.message).toContain("the given bytes: not a wasm file");
	expect(error.message).not.toContain("secret");
	expect((await failureOf()).message).toBe("no place to load the core from");
});

test("the next source is tried, whatever type it is served as, and the instance is kept", async () => {
	const output = await load([`${base}/missing.wasm`, `${base}/core.wasm`]);
	expect(output.memory.buffer.byteLength).toBeGreaterThan(0);
	expect(await load([])).toBe(output);
	// 512 MiB in pages of 64 KiB: the most a core may ever take.
	expect(() => output.memory.grow(8192)).toThrow(RangeError);
});
