// Why a session ended reaches the page, over both transports, and what it carried ends for the right reason.
import { type Connection, loadRuntime, type MoqError, type Version } from "moq-worker";
import { expect, inject, test } from "vitest";
import { commands } from "vitest/browser";
import { sign } from "./token.ts";

const guarded = inject("guardedRelay").url;
const url = inject("relayUrl");
const TRANSPORTS = ["webtransport", "websocket"] as const;

const ended = async (connection: Connection): Promise<MoqError | undefined> =>
	connection.closed.then(
		() => undefined,
		(error: MoqError) => error,
	);

test.each(TRANSPORTS)("twenty connections whose tokens end at once all hear why (%s)", async (transport) => {
	const runtime = await loadRuntime();
	const token = await sign({ get: [""], exp: Date.now() / 1000 + 6 });
	const connecting = Array.from({ length: 20 }, () => runtime.connect(guarded, { transport, token }));
	const errors = await Promise.all((await Promise.all(connecting)).map(ended));
	await runtime.close();
	// The browser may lose code and text of the close, and never the reason.
	const told = errors.map((error) => `${error?.kind} ${error?.retryable}`);
	expect(told).toEqual(told.map(() => "unauthorized false"));
	if (transport === "webtransport") return;
	for (const error of errors)
		expect(error).toMatchObject({ code: 2, scope: "session", reason: "unauthorized: the token has expired" });
});

const VERSIONS: Version[] = ["moq-lite-06", "moq-lite-03"];

test.each(TRANSPORTS)("a relay that is told to stop tells its pages that it goes away (%s)", async (transport) => {
	const relay = await commands.startRelay(["--drain", "1"]);
	const runtime = await loadRuntime();
	const connections = await Promise.all(
		VERSIONS.map((version) => runtime.connect(relay, { transport, versions: [version], reconnect: false })),
	);
	const goaways: number[] = [];
	for (const [index, connection] of connections.entries()) {
		connection.addEventListener("goaway", () => goaways.push(index));
	}
	const stopped = commands.signalRelay(relay, "SIGTERM");
	const errors = await Promise.all(connections.map(ended));
	for (const error of errors) {
		expect(error).toMatchObject({ kind: "going-away", retryable: true });
		if (transport === "webtransport") continue;
		expect(error).toMatchObject({ code: 0x10, scope: "session", reason: "the relay is shutting down" });
	}
	// The older one has no word for it but the end itself.
	expect(goaways).toEqual([0]);
	const { code, ms } = await stopped;
	expect(code).toBe(0);
	expect(ms).toBeLessThan(10_000);
	await runtime.close();
});

/** Ways for a publisher to leave in the middle of a group. */
const DEPARTURES = {
	"closes its connection": (publisher: { connection: Connection }) => publisher.connection.close(),
	"closes with a code": (publisher: { connection: Connection }) => publisher.connection.close(70, "enough"),
	"is a tab that is closed": (publisher: { worker: Worker }) => publisher.worker.terminate(),
};

test.each(
	TRANSPORTS.flatMap((transport) =>
		Object.entries(DEPARTURES).map(([how, depart]) => [transport, how, depart] as const),
	),
)("over %s, a publisher that %s is dropped for its readers", async (transport, how, depart) => {
	const worker = new Worker(new URL("../../../dist/worker.js", import.meta.url), { type: "module" });
	const theirs = await loadRuntime({ worker });
	const ours = await loadRuntime();
	const connection = await theirs.connect(url, { transport });
	const viewer = await ours.connect(url, { transport });
	const path = `${transport}/${how}`;
	const track = connection.createBroadcast(path).createTrack("chat");
	const found = await viewer.waitForBroadcast(path);
	const subscriber = await found.track("chat").subscribe();
	track.appendGroup().writeFrame("half");
	const group = await subscriber.nextGroup();
	expect((await group?.readFrame())?.text()).toBe("half");
	depart({ connection, worker });
	await expect(group?.readFrame()).rejects.toMatchObject({ kind: "dropped", retryable: true });
	await expect(subscriber.nextGroup()).rejects.toMatchObject({ kind: "dropped", message: "track chat: dropped" });
	await ours.close();
	await theirs.close();
});

test.each(TRANSPORTS)("codes of the application arrive as they were given (%s)", async (transport) => {
	const runtime = await loadRuntime();
	const publisher = await runtime.connect(url, { transport });
	const viewer = await runtime.connect(url, { transport });
	const path = `codes/${transport}`;
	const broadcast = publisher.createBroadcast(path);
	const track = broadcast.createTrack("chat", { cacheMs: 60_000 });
	const tracks = broadcast.dynamic((request) => request.reject(9));
	const found = await viewer.waitForBroadcast(path);
	const subscriber = await found.track("chat").subscribe();
	const writing = track.appendGroup();
	writing.writeFrame("half");
	const group = await subscriber.nextGroup();
	expect((await group?.readFrame())?.text()).toBe("half");
	writing.abort(8);
	await expect(group?.readFrame()).rejects.toMatchObject({ kind: "app", code: 8, scope: "stream" });
	track.abort(7);
	await expect(subscriber.nextGroup()).rejects.toMatchObject({ kind: "app", code: 7, scope: "stream" });
	await expect(found.track("other").subscribe()).rejects.toMatchObject({ kind: "app", code: 9, scope: "stream" });
	tracks.close();
	await runtime.close();
});

test.each(TRANSPORTS)("what is not found is named (%s)", async (transport) => {
	const runtime = await loadRuntime();
	const publisher = await runtime.connect(url, { transport });
	const viewer = await runtime.connect(url, { transport });
	const path = `named/${transport}`;
	publisher.createBroadcast(path).createTrack("chat").writeFrame("hello");
	const found = await viewer.waitForBroadcast(path);
	const notFound = (message: string) => ({ kind: "not-found", message });
	await expect(viewer.requestBroadcast("nowhere")).rejects.toMatchObject(notFound("broadcast nowhere: not found"));
	await expect(found.track("none").subscribe()).rejects.toMatchObject(notFound("track none: not found"));
	await expect(found.track("none").info()).rejects.toMatchObject(notFound("track none: not found"));
	await expect(found.track("chat").fetchGroup(9)).rejects.toMatchObject(notFound("group 9 of track chat: not found"));
	await runtime.close();
});
