import {
	connect,
	loadRuntime,
	type Runtime,
	VersionMismatchError,
	WorkerCrashedError,
	WorkerError,
	WorkerLoadError,
} from "moq-worker";
import { afterEach, expect, inject, test, vi } from "vitest";

const dist = (file: string) => new URL(`/dist/${file}`, location.href).href;

const open: Runtime[] = [];
const unhandled = vi.fn();
globalThis.addEventListener("unhandledrejection", unhandled);

afterEach(async () => {
	await Promise.all(open.splice(0).map((runtime) => runtime.close()));
	expect(unhandled).not.toHaveBeenCalled();
});

async function load(options?: Parameters<typeof loadRuntime>[0]): Promise<Runtime> {
	const runtime = await loadRuntime(options);
	open.push(runtime);
	return runtime;
}

/** A module worker from text; `import` of the real one makes it the real one. */
function fromText(text: string): Worker {
	return new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })), { type: "module" });
}

/** The real worker around a core that panics on its next poll when it is told to. */
function panicking() {
	let worker: Worker | undefined;
	const start = () => {
		worker = fromText(`
			let inject;
			const instantiate = WebAssembly.instantiate;
			WebAssembly.instantiate = async (...args) => {
				const result = await instantiate(...args);
				inject = (result.instance ?? result).exports.injectPanic;
				return result;
			};
			self.addEventListener("message", ({ data }) => data === "panic" && inject());
			await import(${JSON.stringify(dist("worker.js"))});
		`);
		return worker;
	};
	return { start, worker: () => worker as Worker };
}

/** The real worker, and a way to break it. */
function breakable() {
	let worker: Worker | undefined;
	const start = () => {
		worker = fromText(`
			self.addEventListener("message", ({ data }) => {
				if (data === "throw") throw new Error("boom");
				if (data === "hang") for (;;);
			});
			await import(${JSON.stringify(dist("worker.js"))});
		`);
		return worker;
	};
	return { start, worker: () => worker as Worker };
}

test("the worker starts from next to the library, counts nothing, and ends", async () => {
	const runtime = await load();
	const stats = await runtime.stats();
	expect(stats.ids).toEqual({});
	expect(stats.memoryBytes).toBeGreaterThan(0);
	const origin = runtime.origin();
	expect((await runtime.stats()).ids).toEqual({ origin: 1 });
	const waiting = origin.waitForBroadcast("never");
	await runtime.close();
	await expect(waiting).rejects.toMatchObject({ kind: "closed" });
	await expect(runtime.stats()).rejects.toMatchObject({ kind: "closed" });
});

test("the core may come as address, response, module or bytes", async () => {
	const bytes = await (await fetch(dist("core_bg.wasm"))).arrayBuffer();
	const sources = [
		dist("core_bg.wasm"),
		new URL(dist("core_bg.wasm")),
		await fetch(dist("core_bg.wasm")),
		await WebAssembly.compile(bytes),
		bytes,
		new Uint8Array(bytes),
	];
	for (const wasm of sources) {
		const runtime = await load({ wasm });
		expect((await runtime.stats()).memoryBytes).toBeGreaterThan(0);
	}
	expect(bytes.byteLength).toBeGreaterThan(0);
});

test("a core that is not there is a load error naming the address and the status", async () => {
	const missing = `${location.origin}/no-such-directory/core.wasm`;
	const error = await loadRuntime({ wasm: missing }).catch((reason: unknown) => reason);
	expect(error).toBeInstanceOf(WorkerLoadError);
	expect(String(error)).toContain(missing);
});

test("a page served in place of the core is told from a core", async () => {
	const error = await loadRuntime({ wasm: new Response("<!doctype html><title>app</title>") }).catch(
		(it: unknown) => it,
	);
	expect(error).toBeInstanceOf(WorkerLoadError);
	expect(String(error)).toMatch(/not a wasm file/);
});

test("a worker script that is not there is a load error with the address and the usual causes", async () => {
	const missing = `${location.origin}/no-such-directory/worker.js`;
	const error = await loadRuntime({ worker: missing }).catch((reason: unknown) => reason);
	expect(error).toBeInstanceOf(WorkerLoadError);
	expect(String(error)).toContain(missing);
	expect(String(error)).toMatch(/content security policy/);
});

test("a worker that says nothing is given up after ten seconds", async () => {
	const started = performance.now();
	const error = await loadRuntime({ worker: () => fromText("") }).catch((reason: unknown) => reason);
	expect(error).toBeInstanceOf(WorkerLoadError);
	expect(String(error)).toMatch(/did not load within 10 s/);
	expect(performance.now() - started).toBeLessThan(11_000);
});

test("a worker of another build is refused, naming both", async () => {
	const other = () => fromText(`postMessage({ type: "ready", version: "0.0.0-other" })`);
	const error = await loadRuntime({ worker: other }).catch((reason: unknown) => reason);
	expect(error).toBeInstanceOf(VersionMismatchError);
	expect(String(error)).toMatch(/0\.0\.0-other/);
});

test("starting can be cancelled", async () => {
	const loading = loadRuntime({ worker: () => fromText("") });
	loading.cancel();
	await expect(loading).rejects.toMatchObject({ kind: "cancelled" });
});

test("an error in the worker rejects everything within a second", async () => {
	const { start, worker } = breakable();
	const runtime = await load({ worker: start });
	const origin = runtime.origin();
	const waiting = origin.waitForBroadcast("never");
	const announced = origin.announced().next();
	await runtime.stats();
	const broke = performance.now();
	worker().postMessage("throw");
	const error = await waiting.catch((reason: unknown) => reason);
	expect(performance.now() - broke).toBeLessThan(1000);
	expect(error).toBeInstanceOf(WorkerCrashedError);
	// The class keeps its name in the minified file.
	expect(String(error)).toMatch(/^WorkerCrashedError: .*boom/);
	await expect(announced).rejects.toBe(error);
	await expect(origin.closed).rejects.toBe(error);
	expect(runtime.error).toBe(error);
});

test("a panic in the core rejects everything within a second, says where it was, and the next worker works", async () => {
	const { start, worker } = panicking();
	const wasm = new URL("/wasm/bindings/pkg-faulty/core_bg.wasm", location.href);
	const runtime = await load({ worker: start, wasm });
	const origin = runtime.origin();
	const broadcast = origin.createBroadcast("room");
	const track = broadcast.createTrack("chat");
	const subscriber = await track.subscribe();
	const waits = [
		origin.waitForBroadcast("never"),
		origin.announced("other").next(),
		subscriber.nextGroup(),
		track.unused(),
		origin.dynamic().requestedBroadcast(),
	];
	await runtime.stats();
	const broke = performance.now();
	worker().postMessage("panic");
	track.writeFrame("the straw");
	const errors = await Promise.all(
		waits.map((wait) =>
			wait.then(
				() => undefined,
				(error: unknown) => error,
			),
		),
	);
	expect(performance.now() - broke).toBeLessThan(1000);
	for (const error of errors) {
		expect(error).toBeInstanceOf(WorkerCrashedError);
		expect(error).toBeInstanceOf(WorkerError);
		expect(String(error)).toMatch(/fault\.rs:\d+.*a fault was injected/s);
	}
	for (const handle of [origin, broadcast, track, subscriber]) {
		await expect(handle.closed).rejects.toBeInstanceOf(WorkerCrashedError);
	}
	expect(() => track.writeFrame("x")).toThrow(WorkerCrashedError);
	const next = await load();
	expect((await next.stats()).ids).toEqual({});
});

test.each(["terminated", "stuck"])(
	"a worker that is %s without an event is found out within six seconds",
	async (how) => {
		const { start, worker } = breakable();
		const runtime = await load({ worker: start });
		const waiting = runtime.origin().waitForBroadcast("never");
		await runtime.stats();
		const gone = performance.now();
		if (how === "terminated") worker().terminate();
		else worker().postMessage("hang");
		await expect(waiting).rejects.toBeInstanceOf(WorkerCrashedError);
		expect(performance.now() - gone).toBeLessThan(6_000);
		// The next one is a new one.
		const next = await load();
		expect((await next.stats()).ids).toEqual({});
	},
);

test("a relay that is not there is a transport error, not a hang", async () => {
	const runtime = await load();
	const error = await runtime.connect("https://localhost:9/", { transport: "websocket" }).catch((it: unknown) => it);
	expect(error).toMatchObject({ kind: "transport" });
	expect((await runtime.stats()).ids).toEqual({});
});

/** Notes every worker that the page makes until `restore`. */
function watchWorkers() {
	const made: { worker: Worker; isTerminated: boolean }[] = [];
	const Real = globalThis.Worker;
	globalThis.Worker = class extends Real {
		readonly #note = { worker: this as Worker, isTerminated: false };
		constructor(...args: ConstructorParameters<typeof Real>) {
			super(...args);
			made.push(this.#note);
		}
		override terminate(): void {
			this.#note.isTerminated = true;
			super.terminate();
		}
	};
	return {
		made,
		restore: () => {
			globalThis.Worker = Real;
		},
	};
}

test("a wrong address starts no worker", async () => {
	const { made, restore } = watchWorkers();
	const refused = connect("not an address");
	expect(refused.status).toBe("rejected");
	await expect(refused).rejects.toMatchObject({ kind: "usage" });
	restore();
	expect(made).toEqual([]);
});

test("connecting twice at once shares one worker, also after that one died", async () => {
	const { made, restore } = watchWorkers();
	const url = inject("relayUrl");
	for (const round of [1, 2]) {
		const both = await Promise.all([connect(url), connect(url)]);
		expect(new Set(both.map(({ runtime }) => runtime)).size).toBe(1);
		expect(made).toHaveLength(round);
		// As the browser says that the worker broke.
		made.at(-1)?.worker.dispatchEvent(new ErrorEvent("error", { message: "boom", cancelable: true }));
		for (const { closed } of both) await expect(closed).rejects.toMatchObject({ kind: "worker-crashed" });
	}
	restore();
});

test("a worker whose script comes after the caller has given up is not started", async () => {
	const other = new URL("/dist/worker.js", location.href);
	other.hostname = location.hostname === "localhost" ? "127.0.0.1" : "localhost";
	const { made, restore } = watchWorkers();
	const real = globalThis.fetch;
	let answer: () => void = () => undefined;
	const held = new Promise<void>((resolve) => {
		answer = resolve;
	});
	const asked = new Promise<void>((resolve) => {
		globalThis.fetch = async (...args) => {
			resolve();
			await held;
			return real(...args);
		};
	});
	const loading = loadRuntime({ worker: other, wasm: new URL("/dist/core_bg.wasm", location.href) });
	await asked;
	globalThis.fetch = real;
	loading.cancel();
	await expect(loading).rejects.toMatchObject({ kind: "cancelled" });
	answer();
	// One that is loaded afterwards is the only one.
	const runtime = await loadRuntime();
	restore();
	expect(made.filter(({ isTerminated }) => !isTerminated)).toHaveLength(1);
	await runtime.close();
});
