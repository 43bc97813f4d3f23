// Every program of the README and the docs, run as it is written and judged by what it does.
import { type Connection, loadRuntime, type Runtime } from "moq-worker";
import { Publisher } from "moq-worker/media";
import { afterEach, expect, inject, test, vi } from "vitest";
import api from "../../../docs/api.md?raw";
import media from "../../../docs/media.md?raw";
import readme from "../../../README.md?raw";
import { sign } from "./token.ts";

const pages = { README: readme, api, media };
type Page = keyof typeof pages;

const open: Runtime[] = [];
const cleanup: (() => void)[] = [];

afterEach(async () => {
	vi.restoreAllMocks();
	for (const undo of cleanup.splice(0)) undo();
	await Promise.all(open.splice(0).map((runtime) => runtime.close()));
});

/** A connection of the test's own, in a worker of its own. Every test has a part of the relay to itself. */
async function connection(room: string): Promise<Connection> {
	const runtime = await loadRuntime();
	open.push(runtime);
	return await runtime.connect(`${inject("relayUrl")}/${room}`);
}

const programs = Object.fromEntries(
	Object.entries(pages).map(([page, text]) => [
		page,
		[...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, program = ""]) => program),
	]),
) as Record<Page, string[]>;

/** The program of a page that contains `words`: exactly one does. Noted as run. */
function programWith(page: Page, words: string): string {
	const found = programs[page].filter((program) => program.includes(words));
	expect(found, `programs of ${page} with "${words}"`).toHaveLength(1);
	const [program = ""] = found;
	ran.add(program);
	return program;
}

const ran = new Set<string>();

/** Run a program with this relay for the one it names. Resolves when its last line is done. */
async function run(program: string, relay: string): Promise<void> {
	const text = program
		.replace('"moq-worker"', JSON.stringify(new URL("/dist/index.js", location.href).href))
		.replace(/"moq-worker\/(media|worker)"/g, (_, name) =>
			JSON.stringify(new URL(`/dist/${name}.js`, location.href).href),
		)
		.replace(/http:\/\/127\.0\.0\.1:4443\/demo|https:\/\/relay\.example\.com\/demo/, relay);
	expect(text).toContain(relay);
	const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
	cleanup.push(() => URL.revokeObjectURL(url));
	await import(/* @vite-ignore */ url);
}

const relay = (room: string) => `${inject("relayUrl")}/${room}`;

/** What the program logs, a line each, instead of the console. */
function logged(): unknown[][] {
	const lines: unknown[][] = [];
	vi.spyOn(console, "log").mockImplementation((...line) => {
		lines.push(line);
	});
	return lines;
}

test("README: the reader shows every line of the writer, in order", async () => {
	const lines = logged();
	const reading = run(programWith("README", "await track.subscribe()"), relay("first"));
	reading.catch(() => {});
	await run(programWith("README", "count <= 10"), relay("first"));
	await expect.poll(() => lines.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(10);
	expect(lines).toEqual(Array.from({ length: 10 }, (_, index) => [`line ${index + 1}`]));
});

test("README: the program that fetches one old group logs it without a subscription", async () => {
	const moq = await connection("fetch");
	const chat = moq.createBroadcast("room/alice").createTrack("chat", { cacheMs: 60_000 });
	for (let sequence = 0; sequence <= 20; sequence++) chat.writeFrame(`line ${sequence}`);
	await chat.ready;
	const lines = logged();
	await run(programWith("README", "fetchGroup(17)"), relay("fetch"));
	expect(lines).toEqual([["line 17"]]);
});

test("README: the archive serves each day that is asked for and nothing else", async () => {
	await run(programWith("README", "broadcast.dynamic"), relay("archive"));
	const moq = await connection("archive");
	const archive = await moq.waitForBroadcast("archive");
	const group = await archive.track("day/1").fetchGroup(3);
	expect((await group.readFrame())?.text()).toBe("group 3 of day/1");
	const refused = archive.track("night/1").subscribe();
	await expect(refused).rejects.toMatchObject({ kind: "not-found" });
});

test("README: the token function opens a relay that asks for tokens", async () => {
	const token = vi.fn(() => sign({ root: "guarded", put: [""], get: [""] }));
	vi.spyOn(globalThis, "fetch").mockImplementation(async (input) => {
		expect(input).toBe("/moq-token");
		return new Response(await token());
	});
	const program = programWith("README", "/moq-token");
	await run(program, `${inject("guardedRelay").url}/guarded`);
	expect(token).toHaveBeenCalledOnce();
	token.mockResolvedValue("no token");
	await expect(run(`${program}\n`, `${inject("guardedRelay").url}/guarded`)).rejects.toMatchObject({
		kind: "unauthorized",
	});
});

test("README: the recipe that names the worker file connects", async () => {
	const started: string[] = [];
	const { Worker } = globalThis;
	globalThis.Worker = class extends Worker {
		constructor(url: string | URL, options?: WorkerOptions) {
			super(url, options);
			started.push(String(url));
		}
	};
	cleanup.push(() => {
		globalThis.Worker = Worker;
	});
	await run(programWith("README", "loadRuntime"), relay("recipe"));
	expect(started).toEqual([new URL("/dist/worker.js", location.href).href]);
});

test("api: the program that waits finds the broadcast, or stops when the button says so", async () => {
	const stop = document.createElement("button");
	stop.id = "stop";
	document.body.append(stop);
	cleanup.push(() => stop.remove());
	const lines = logged();
	const program = programWith("api", '"#stop"');
	const connected = vi.spyOn(stop, "addEventListener");
	const stopped = run(program, relay("cancel"));
	await expect.poll(() => connected.mock.calls.length, { timeout: 10_000 }).toBe(1);
	stop.click();
	await stopped;
	expect(lines).toEqual([]);

	const moq = await connection("cancel");
	moq.createBroadcast("room/alice");
	await run(program, relay("cancel"));
	expect(lines).toEqual([["found", "room/alice"]]);
});

test("api: the program that follows a prefix logs who comes and who leaves", async () => {
	const lines = logged();
	const following = run(programWith("api", 'moq.announced("room/")'), relay("announced"));
	following.catch(() => {});
	const moq = await connection("announced");
	const carol = moq.createBroadcast("room/carol");
	await expect.poll(() => lines.length, { timeout: 10_000 }).toBe(1);
	carol.close();
	await expect.poll(() => lines.length, { timeout: 10_000 }).toBe(2);
	expect(lines).toEqual([
		["room/carol", "came by", expect.any(Number), "hops"],
		["room/carol", "left"],
	]);
});

test("api: the program that reads video logs every frame of every group", async () => {
	const lines = logged();
	const moq = await connection("video");
	const video = moq.createBroadcast("room/alice").createTrack("video", { timescale: 1000 });
	const watching = run(programWith("api", "maxLatencyMs: 500"), relay("video"));
	await video.used();
	for (let at = 0; at < 3; at++) {
		const group = video.appendGroup();
		group.writeFrame("key", at * 100);
		group.writeFrame("delta!", at * 100 + 50);
		group.finish();
	}
	video.finish();
	await watching;
	expect(lines.map((line) => line.slice(0, 3))).toEqual(
		[0, 1, 2].flatMap((sequence) => [
			[sequence, 0, 3],
			[sequence, 1, 6],
		]),
	);
});

test("api: the samples that a program writes are read whole", async () => {
	const moq = await connection("sensors");
	const found = moq.waitForBroadcast("sensors/1");
	const writing = run(programWith("api", "sensors/1"), relay("sensors"));
	const seen: unknown[] = [];
	for await (const group of await (await found).track("samples").subscribe({ groupStart: 0 }))
		for await (const frame of group) seen.push(frame.json());
	await writing;
	expect(seen).toEqual(
		Array.from({ length: 10 }, (_, index) => index * 1000).flatMap((at) => [
			{ at, first: true },
			{ at, first: false },
		]),
	);
});

test("media: the player logs how it comes to play, and the test pattern is published", async () => {
	const lines = logged();
	const canvas = document.createElement("canvas");
	document.body.append(canvas);
	Object.assign(globalThis, { canvas });
	cleanup.push(() => {
		canvas.remove();
		Reflect.deleteProperty(globalThis, "canvas");
	});
	const moq = await connection("media");
	const found = moq.waitForBroadcast("room/test.hang");
	await run(programWith("media", "new Publisher"), relay("media"));
	expect((await found).path).toBe("room/test.hang");
	const publisher = new Publisher({ connection: moq, broadcast: "room/alice.hang", source: "test-pattern" });
	cleanup.push(() => publisher.close());
	await expect.poll(() => lines, { timeout: 10_000 }).toContainEqual(["playing"]);
});

test("every program of these pages was run by one of the tests above", () => {
	const all = Object.values(programs).flat();
	expect(all.length).toBeGreaterThan(0);
	expect(all.filter((program) => !ran.has(program))).toEqual([]);
});
