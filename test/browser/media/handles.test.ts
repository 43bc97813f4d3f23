import { type Connection, loadRuntime, type Runtime, type RuntimeOptions } from "moq-worker";
import { type DrawnPicture, Player, Publisher } from "moq-worker/media";
import { afterEach, expect, inject, test } from "vitest";
import { commands } from "vitest/browser";

const cleanup: (() => void | Promise<void>)[] = [];
afterEach(async () => {
	for (const undo of cleanup.splice(0).reverse()) await undo();
});

/** A worker of the test's own, with a publishing and a viewing connection to one part of the relay. */
async function room(name: string, options: RuntimeOptions = {}) {
	const runtime = await loadRuntime(options);
	cleanup.push(() => runtime.close());
	const connect = (): PromiseLike<Connection> => runtime.connect(`${inject("relayUrl")}/${name}`);
	return { runtime, publishing: await connect(), viewing: await connect() };
}

function freshCanvas(): HTMLCanvasElement {
	const canvas = document.createElement("canvas");
	document.body.append(canvas);
	cleanup.push(() => canvas.remove());
	return canvas;
}

/** A player of the test pattern that keeps what it tells. */
function watch(connection: Connection) {
	const player = new Player({ connection, broadcast: "pattern.hang", canvas: freshCanvas(), readStamps: true });
	cleanup.push(() => player.close());
	const pictures: DrawnPicture[] = [];
	const states: string[] = [];
	const errors: unknown[] = [];
	player.addEventListener("drawn", ({ detail }) => pictures.push(...detail.pictures));
	player.addEventListener("statechange", ({ detail }) => states.push(detail));
	player.addEventListener("error", ({ detail }) => errors.push(detail));
	return { player, pictures, states, errors };
}

function publish(connection: Connection): Publisher {
	const publisher = new Publisher({ connection, broadcast: "pattern.hang", source: "test-pattern" });
	cleanup.push(() => publisher.close());
	return publisher;
}

/** Ids and core objects that are in use. */
async function inUse(runtime: Runtime) {
	const { ids, handles } = await runtime.stats();
	return { ids, handles };
}

test("a pattern published over one connection is drawn over another, and closing both leaves nothing behind", async () => {
	const { runtime, publishing, viewing } = await room("media-pattern");
	const before = await inUse(runtime);
	const publisher = publish(publishing);
	const { player, pictures, states, errors } = watch(viewing);
	await expect.poll(() => pictures.length, { timeout: 15_000 }).toBeGreaterThan(30);
	expect(states.slice(-3)).toEqual(["loading-catalog", "buffering", "playing"]);
	expect(player.rendition).toMatchObject({ container: "legacy", width: 640, height: 360 });
	expect(publisher.encoder?.codec).toBe(player.rendition?.codec);
	expect(pictures.every((picture) => picture.counter !== undefined && (picture.latencyMs ?? -1) >= 0)).toBe(true);
	const toMs = performance.timeOrigin + performance.now();
	expect((await player.report(toMs - 1000, toMs)).decoded).toBeGreaterThan(5);
	expect(errors).toEqual([]);
	player.close();
	publisher.close();
	expect(player.state).toBe("closed");
	await expect.poll(() => inUse(runtime)).toEqual(before);
});

test("with one ready-made worker the core worker draws as well", async () => {
	const worker = new Worker(new URL("/dist/worker.js", location.href), { type: "module" });
	const wasm = new URL("/dist/core_bg.wasm", location.href);
	const { publishing, viewing } = await room("media-one-worker", { worker, wasm });
	publish(publishing);
	const { player, pictures, errors } = watch(viewing);
	await expect.poll(() => pictures.length, { timeout: 15_000 }).toBeGreaterThan(10);
	expect(errors).toEqual([]);
	player.close();
});

test("a player whose worker ends says so, and its open questions are answered", async () => {
	const { runtime, publishing, viewing } = await room("media-crash");
	publish(publishing);
	const { player, states, errors } = watch(viewing);
	await expect.poll(() => states, { timeout: 15_000 }).toContain("playing");
	const question = player.report(0, 1).catch((error: unknown) => error);
	await runtime.close();
	// Answered before the end or refused by it, but never left waiting.
	expect(await question).toBeDefined();
	expect(player.state).toBe("error");
	expect(errors).toMatchObject([{ kind: "closed" }]);
	expect(() => player.report(0, 1)).toThrow(/closed/);
});

test("a player and a publisher whose connection is closed are closed, and say so", async () => {
	const { publishing, viewing } = await room("media-closed");
	const publisher = publish(publishing);
	const { player, states, errors } = watch(viewing);
	await expect.poll(() => states, { timeout: 15_000 }).toContain("playing");
	viewing.close();
	publishing.close();
	expect([player.state, publisher.state]).toEqual(["closed", "closed"]);
	expect(errors).toEqual([]);
});

test("a player and a publisher whose connection is lost fail with its reason", async () => {
	const relay = await commands.startRelay([]);
	const runtime = await loadRuntime();
	cleanup.push(() => runtime.close());
	const connection = await runtime.connect(relay, { transport: "websocket", reconnect: false });
	const publisher = publish(connection);
	const failures: unknown[] = [];
	publisher.addEventListener("error", ({ detail }) => failures.push(detail));
	const { player, errors } = watch(connection);
	await expect.poll(() => player.state, { timeout: 15_000 }).toBe("playing");
	await commands.signalRelay(relay, "SIGKILL");
	const lost = await connection.closed.catch((error: unknown) => error);
	expect(lost).toMatchObject({ kind: "transport" });
	expect([player.state, publisher.state]).toEqual(["error", "error"]);
	expect([...errors, ...failures]).toEqual([lost, lost]);
});

test("a player whose drawing worker was terminated fails, and says so", async () => {
	const workers: Worker[] = [];
	const worker = () => {
		const made = new Worker(new URL("/dist/worker.js", location.href), { type: "module" });
		workers.push(made);
		return made;
	};
	const { publishing, viewing } = await room("media-render-killed", { worker });
	publish(publishing);
	const { player, pictures, errors } = watch(viewing);
	// It is up: one that is terminated before that fails to start.
	await expect.poll(() => pictures.length, { timeout: 15_000 }).toBeGreaterThan(0);
	expect(workers).toHaveLength(2);
	workers[1]?.terminate();
	await expect.poll(() => player.state, { timeout: 10_000 }).toBe("error");
	expect(errors).toMatchObject([{ kind: "worker-crashed" }]);
});

test("wrong options are refused by name before anything starts", async () => {
	const { runtime, viewing } = await room("media-options");
	const before = await inUse(runtime);
	const broadcast = "pattern.hang";
	const used = freshCanvas();
	used.getContext("2d");
	const wrong: [unknown, RegExp][] = [
		[undefined, /options must be an object/],
		[{ connection: viewing, broadcast: 7, canvas: freshCanvas() }, /broadcast must be a string/],
		[{ connection: viewing, broadcast, canvas: document.body }, /canvas must be a canvas element/],
		[{ connection: viewing, broadcast, canvas: used }, /canvas has a context already/],
		[{ connection: viewing, broadcast, canvas: freshCanvas(), rendition: {} }, /rendition must be a string/],
	];
	for (const [options, message] of wrong)
		expect(() => new Player(options as ConstructorParameters<typeof Player>[0]), String(message)).toThrow(message);
	const source = "camera" as "test-pattern";
	expect(() => new Publisher({ connection: viewing, broadcast, source })).toThrow(/source must be one of test-pattern/);
	expect(await inUse(runtime)).toEqual(before);
});
