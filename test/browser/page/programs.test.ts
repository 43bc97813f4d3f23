import { type Connection, loadRuntime, type Runtime } from "moq-worker";
import { afterEach, expect, inject, test, vi } from "vitest";
import fetchGroup from "../programs/fetch-group.ts?raw";
import publishData from "../programs/publish-data.ts?raw";
import watchData from "../programs/watch-data.ts?raw";

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

/** Run a program as it is written, with this relay for the one it names. Resolves when its last line is done. */
async function run(program: string, room: string): Promise<void> {
	const text = program
		.replace('"moq-worker"', JSON.stringify(new URL("/dist/index.js", location.href).href))
		.replace("https://relay.example.com/demo", `${inject("relayUrl")}/${room}`);
	expect(text).not.toContain("relay.example.com");
	const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
	cleanup.push(() => URL.revokeObjectURL(url));
	await import(/* @vite-ignore */ url);
}

/** What the program logs, a line each, instead of the console. */
function logged(): unknown[][] {
	const lines: unknown[][] = [];
	vi.spyOn(console, "log").mockImplementation((...line) => {
		lines.push(line);
	});
	return lines;
}

test("the program that watches data logs every frame and ends with the track", async () => {
	const lines = logged();
	const program = run(watchData, "watch");
	const moq = await connection("watch");
	const broadcast = moq.createBroadcast("room/alice");
	const chat = broadcast.createTrack("chat", { timescale: 1000 });
	await chat.used();
	chat.writeFrame("hello", 1);
	// Without a latency budget an older group is skipped as soon as a newer one exists.
	await expect.poll(() => lines.length, { timeout: 10_000 }).toBe(1);
	const group = chat.appendGroup();
	group.writeFrame("how", 2);
	group.writeFrame("are you", 3);
	group.finish();
	await expect.poll(() => lines.length, { timeout: 10_000 }).toBe(3);
	chat.finish();
	await program;
	expect(lines).toEqual([
		[1, "hello"],
		[2, "how"],
		[3, "are you"],
	]);
});

test("the program that publishes data is read by another page", async () => {
	const moq = await connection("publish");
	const found = moq.waitForBroadcast("room/bob");
	await run(publishData, "publish");
	const track = (await found).track("chat");
	const group = await (await track.subscribe()).nextGroup();
	expect((await group?.readFrame())?.text()).toBe("hello");
});

test("the program that fetches one old group logs it without a subscription", async () => {
	const moq = await connection("fetch");
	const chat = moq.createBroadcast("room/alice").createTrack("chat", { cacheMs: 60_000 });
	for (let sequence = 0; sequence <= 20; sequence++) chat.writeFrame(`line ${sequence}`);
	await chat.ready;
	const lines = logged();
	await run(fetchGroup, "fetch");
	expect(lines).toEqual([["line 17"]]);
});
