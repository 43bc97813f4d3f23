// What a page is told that cannot reach a relay: the cause, and what to do about it.
import { loadRuntime, type MoqError, type Runtime, TransportError } from "moq-worker";
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from "vitest";

const url = inject("relayUrl");
let runtime: Runtime;

beforeAll(async () => {
	runtime = await loadRuntime();
});

afterAll(() => runtime.close());

const failure = async (work: PromiseLike<unknown>): Promise<MoqError> => {
	try {
		await work;
	} catch (error) {
		return error as MoqError;
	}
	throw new Error("nothing failed");
};

test.each(["webtransport", "websocket"] as const)("localhost is as good as 127.0.0.1 (%s)", async (transport) => {
	const address = new URL(url);
	address.hostname = "localhost";
	const connection = await runtime.connect(address, { transport });
	expect(connection.transport).toBe(transport);
	connection.close();
});

test("an https address of a relay with a certificate of its own says what to do", async () => {
	const error = await failure(runtime.connect(url.replace("http:", "https:")));
	expect(error).toBeInstanceOf(TransportError);
	const { host } = new URL(url);
	expect(error.message).toContain(
		`its certificate is not trusted: one of its own needs http://${host} as the address, or serverCertificateHashes`,
	);
});

test.each([location.origin, location.origin.replace("http:", "https:")])(
	"a server that is no relay is found out within three seconds (%s)",
	async (address) => {
		const began = performance.now();
		const error = await failure(runtime.connect(address));
		expect(performance.now() - began).toBeLessThan(3_000);
		expect(error).toBeInstanceOf(TransportError);
		// Nothing speaks TLS there, so all that can be said of https is that nothing answers.
		if (address.startsWith("http:")) {
			expect(error.message).toContain("an HTTP server answers there, but no relay");
			expect(error.retryable).toBe(false);
		}
	},
);

/** The library in a page with another content security policy, whose workers come from a blob and have the same one. */
async function under(policy: string): Promise<typeof globalThis & typeof import("moq-worker")> {
	const frame = document.createElement("iframe");
	frame.srcdoc = `<meta http-equiv="Content-Security-Policy" content="${policy}"><script type="module">
		import * as library from ${JSON.stringify(new URL("/dist/index.js", location.href).href)};
		Object.assign(globalThis, library);
		parent.postMessage("loaded");
	</script>`;
	const loaded = new Promise((resolve) => globalThis.addEventListener("message", resolve, { once: true }));
	document.body.append(frame);
	onTestFinished(() => frame.remove());
	await loaded;
	return frame.contentWindow as unknown as typeof globalThis & typeof import("moq-worker");
}

const SCRIPTS = "script-src 'self' 'unsafe-inline' blob:";

/** A worker that is under the policy of its page. */
async function blobWorker(page: typeof globalThis): Promise<() => Worker> {
	const text = await (await fetch("/dist/worker.js")).text();
	const { Blob, URL: Address, Worker: Maker } = page;
	const address = Address.createObjectURL(new Blob([text], { type: "text/javascript" }));
	return () => new Maker(address, { type: "module" });
}

const wasm = new URL("/dist/core_bg.wasm", location.href).href;

test("a policy without 'wasm-unsafe-eval' is named", async () => {
	const page = await under(`${SCRIPTS}; worker-src blob:`);
	const error = await failure(page.loadRuntime({ worker: await blobWorker(page), wasm }));
	expect(error).toMatchObject({ kind: "worker-load" });
	expect(error.message).toContain("script-src has to list 'wasm-unsafe-eval'");
});

test("a policy that does not list the relay is named", async () => {
	const page = await under(`${SCRIPTS} 'wasm-unsafe-eval'; worker-src blob:; connect-src 'self'`);
	const theirs = await page.loadRuntime({ worker: await blobWorker(page), wasm });
	const { host } = new URL(url);
	const error = await failure(theirs.connect(url));
	expect(error).toMatchObject({ kind: "transport", retryable: false });
	expect(error.message).toContain(`connect-src has to list http://${host}`);
	expect(error.message).toContain(`connect-src has to list ws://${host}`);
	const serverCertificateHashes = ["00".repeat(32)];
	const other = await failure(theirs.connect(url, { transport: "webtransport", serverCertificateHashes }));
	expect(other.message).toContain(`connect-src has to list https://${host}`);
	await theirs.close();
});

test("a policy that forbids the worker is named", async () => {
	const page = await under(`${SCRIPTS} 'wasm-unsafe-eval'; worker-src 'none'`);
	const error = await failure(page.loadRuntime());
	expect(error).toMatchObject({ kind: "worker-load" });
	// A page without an address of its own takes the worker for one of another origin, and starts it from a blob.
	expect(error.message).toContain("worker-src has to list blob:");
});

test("a page that wants addresses of scripts checked is told what to do", async () => {
	const page = await under("require-trusted-types-for 'script'");
	const error = await failure(page.loadRuntime());
	expect(error).toMatchObject({ kind: "worker-load" });
	expect(error.message).toContain("require-trusted-types-for 'script'");
	expect(error.message).toContain("the option worker");
});
