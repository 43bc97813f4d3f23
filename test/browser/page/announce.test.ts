import { type Connection, loadRuntime, NotFoundError, type Runtime } from "moq-worker";
import { afterEach, expect, inject, test } from "vitest";

const TRANSPORTS = ["webtransport", "websocket"] as const;
const TRACKS = 200;
const open: Runtime[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((runtime) => runtime.close()));
});

/** Two connections in workers of their own, to a part of the relay that is theirs. */
async function pair(room: string, transport: (typeof TRANSPORTS)[number]): Promise<[Connection, Connection]> {
	const connect = async () => {
		const runtime = await loadRuntime();
		open.push(runtime);
		return await runtime.connect(`${inject("relayUrl")}/${room}`, { transport });
	};
	return [await connect(), await connect()];
}

/** What a watcher reads first of a track. */
async function first(connection: Connection, path: string, name: string): Promise<string | undefined> {
	const found = await connection.waitForBroadcast(path);
	for await (const group of await found.track(name).subscribe()) return (await group.readFrame())?.text();
	return undefined;
}

test.each(TRANSPORTS)(
	"who subscribes when it hears of a broadcast finds all that was made with it (%s)",
	async (transport) => {
		const [near, far] = await pair(`announce/turn/${transport}`, transport);
		for (let round = 0; round < 20; round++) {
			const path = `round/${round}`;
			// The last ones first, a few at a time: a browser takes a hundred streams of its peer.
			const watching = far.waitForBroadcast(path).then(async (found) => {
				const tracks = Array.from({ length: TRACKS }, (_, index) => found.track(`track/${TRACKS - 1 - index}`));
				for (let at = 0; at < TRACKS; at += 25) {
					await Promise.all(tracks.slice(at, at + 25).map((track) => track.info()));
				}
				for (const track of tracks) track.close();
				const subscriber = await found.track("track/7").subscribe({ maxLatencyMs: 5000 });
				return (await subscriber.readFrame())?.text();
			});
			const broadcast = near.createBroadcast(path);
			for (let index = 0; index < TRACKS; index++) broadcast.createTrack(`track/${index}`).writeFrame(`first ${index}`);
			expect(await watching, path).toBe("first 7");
			broadcast.close();
		}
	},
	60_000,
);

test.each(TRANSPORTS)(
	"a track that is made within a second of the announcement is found, another is refused then (%s)",
	async (transport) => {
		const [near, far] = await pair(`announce/hold/${transport}`, transport);
		const watching = [30, 500].map((delay) => first(far, `late/${delay}`, "chat"));
		for (const delay of [30, 500]) {
			const broadcast = near.createBroadcast(`late/${delay}`);
			setTimeout(() => broadcast.createTrack("chat").writeFrame(`after ${delay} ms`), delay);
		}
		expect(await Promise.all(watching)).toEqual(["after 30 ms", "after 500 ms"]);

		const never = far.waitForBroadcast("never");
		near.createBroadcast("never").createTrack("chat");
		const found = await never;
		const begin = performance.now();
		const error = await found
			.track("typo")
			.subscribe()
			.then(
				() => undefined,
				(reason: unknown) => reason,
			);
		const waited = performance.now() - begin;
		expect(error).toBeInstanceOf(NotFoundError);
		expect(waited).toBeGreaterThan(500);
		expect(waited).toBeLessThan(2000);
		// After that it is refused at once.
		const again = performance.now();
		await expect(found.track("other").subscribe()).rejects.toBeInstanceOf(NotFoundError);
		expect(performance.now() - again).toBeLessThan(500);
	},
);

test.each(TRANSPORTS)("a broadcast may be built first and announced then (%s)", async (transport) => {
	const [near, far] = await pair(`announce/later/${transport}`, transport);
	const broadcast = near.createBroadcast("room", { announce: false });
	broadcast.createTrack("chat").writeFrame("hello");
	await near.stats();
	await expect(near.requestBroadcast("room")).rejects.toBeInstanceOf(NotFoundError);
	broadcast.announce();
	broadcast.announce();
	expect(await first(far, "room", "chat")).toBe("hello");
	broadcast.close();
});
