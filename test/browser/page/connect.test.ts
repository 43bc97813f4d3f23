import { type Connection, loadRuntime, MoqError, type Runtime, TransportError, VersionError } from "moq-worker";
import { afterEach, beforeEach, expect, inject, test, vi } from "vitest";

let runtime: Runtime;
const unhandled = vi.fn();
globalThis.addEventListener("unhandledrejection", unhandled);

beforeEach(async () => {
	runtime = await loadRuntime();
});

afterEach(async () => {
	// Whatever happened, no connection is left behind in the worker.
	await expect.poll(async () => (await runtime.stats()).ids.connection ?? 0).toBe(0);
	await runtime.close();
	expect(unhandled).not.toHaveBeenCalled();
});

const failure = async (connecting: PromiseLike<Connection>): Promise<unknown> => {
	try {
		(await connecting).close();
		return undefined;
	} catch (error) {
		return error;
	}
};

test.each(["webtransport", "websocket"] as const)(
	"both ends meet over %s and part with a reason",
	async (transport) => {
		const connection = await runtime.connect(inject("relayUrl"), { transport });
		expect(connection).toMatchObject({ transport, version: "moq-lite-06", state: "connected" });
		expect((await connection.stats()).bytesSent).toBeGreaterThanOrEqual(0);
		connection.close(0, "done");
		expect(await connection.closed).toMatchObject({ local: true });
		expect(connection.state).toBe("closed");
	},
);

test("a certificate that is not the expected one is a transport error", async () => {
	const address = inject("relayUrl").replace("http:", "https:");
	const wrong = { transport: "webtransport" as const, serverCertificateHashes: ["00".repeat(32)] };
	expect(await failure(runtime.connect(address, wrong))).toBeInstanceOf(TransportError);
});

test("a relay that is not there fails on every transport, naming both", async () => {
	const error = await failure(runtime.connect("https://127.0.0.1:9/"));
	expect(error).toBeInstanceOf(TransportError);
	expect(String(error)).toMatch(/webtransport/i);
	expect(String(error)).toMatch(/websocket/i);
});

test("no version in common is a version error or a refused transport, never a hang", async () => {
	const error = await failure(runtime.connect(inject("relayUrl"), { versions: ["moq-lite-07-wip"] }));
	expect(error).toBeInstanceOf(MoqError);
	expect(error instanceof VersionError || error instanceof TransportError).toBe(true);
});

test("the token is in no error", async () => {
	const error = await failure(runtime.connect("https://127.0.0.1:9/?x=canary-1", { token: "canary-2" }));
	const all = `${String(error)} ${JSON.stringify(error)} ${String((error as MoqError).cause)}`;
	expect(all).not.toContain("canary");
});

test("a connect that is cancelled leaves nothing behind", async () => {
	const connecting = runtime.connect(inject("relayUrl"));
	connecting.cancel();
	expect(await failure(connecting)).toMatchObject({ kind: "cancelled" });
});

test("a library from another origin starts its worker from a blob", async () => {
	const other = new URL("/dist/index.js", location.href);
	other.hostname = location.hostname === "localhost" ? "127.0.0.1" : "localhost";
	const library = (await import(/* @vite-ignore */ other.href)) as typeof import("moq-worker");
	const foreign = await library.loadRuntime();
	expect((await foreign.stats()).memoryBytes).toBeGreaterThan(0);
	await foreign.close();
});
