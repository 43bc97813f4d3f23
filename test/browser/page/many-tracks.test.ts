// How many tracks of one page are served at once: a relay opens a stream to the page for each, and the page's transport gives the
// credit for them.
import { type Connection, loadRuntime, type MoqError, type Runtime, type TrackSubscriber } from "moq-worker";
import { afterEach, beforeEach, expect, inject, test } from "vitest";

let runtimes: Runtime[] = [];
let path: string;

beforeEach(() => {
	path = `many/${crypto.randomUUID()}`;
});

afterEach(async () => {
	await Promise.all(runtimes.map((runtime) => runtime.close()));
	runtimes = [];
});

/** A connection in a worker of its own. */
async function connection(transport: "webtransport" | "websocket"): Promise<Connection> {
	const runtime = await loadRuntime();
	runtimes.push(runtime);
	return runtime.connect(inject("relayUrl"), { transport });
}

/** A broadcast of so many tracks, each with one message, and a reader of it. */
async function broadcast(transport: "webtransport" | "websocket", tracks: number) {
	const publisher = await connection(transport);
	const broadcast = publisher.createBroadcast(path);
	for (let at = 0; at < tracks; at++) broadcast.createTrack(`${at}`).writeFrame(`message ${at}`);
	const viewer = await connection("websocket");
	return viewer.waitForBroadcast(path);
}

/** What the first message of a subscription says. */
async function first(subscribing: PromiseLike<TrackSubscriber>): Promise<string> {
	const frame = await (await subscribing).readFrame();
	return frame?.text() ?? "nothing";
}

test.each([
	["webtransport", 90],
	["websocket", 1000],
] as const)("over %s, %d tracks of one page are served at once", { timeout: 60_000 }, async (transport, tracks) => {
	const source = await broadcast(transport, tracks);
	// Twice: what the first readers used must be there again.
	for (const round of [1, 2]) {
		const all = Array.from({ length: tracks }, (_, at) => source.track(`${at}`));
		// Requests that end together leave credit that a transport does not give back by itself.
		await Promise.all(all.map((track) => track.info()));
		const subscribing = all.map((track) => track.subscribe());
		const texts = await Promise.allSettled(subscribing.map(first));
		expect(texts, `round ${round}`).toEqual(texts.map((_, at) => ({ status: "fulfilled", value: `message ${at}` })));
		for (const subscription of await Promise.all(subscribing)) subscription.close();
	}
});

test("over webtransport, a track beyond the credit fails within a second and says what to do", {
	timeout: 60_000,
}, async () => {
	const source = await broadcast("webtransport", 130);
	const open = Array.from({ length: 90 }, (_, at) => source.track(`${at}`).subscribe());
	await Promise.all(open.map(first));
	for (let at = 90; at < 130; at++) {
		const began = performance.now();
		const outcome = await source
			.track(`${at}`)
			.subscribe()
			.then(
				(subscriber) => subscriber,
				(error) => error as MoqError,
			);
		if (!(outcome instanceof Error)) continue;
		expect(performance.now() - began).toBeLessThan(1000);
		expect(outcome.kind).toBe("no-capacity");
		for (const part of ["100", "WebSocket", "several connections"]) expect(outcome.message).toContain(part);
		for (const subscriber of await Promise.all(open)) subscriber.close();
		return;
	}
	expect.unreachable("all were served");
});
