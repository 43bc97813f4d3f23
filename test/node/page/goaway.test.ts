import { afterEach, expect, test, vi } from "vitest";
import type { Connection, ConnectionEventMap } from "../../../src/index.ts";
import { redirected } from "../../../worker/host/connection/redirect.ts";
import type { DialData } from "../../../worker/protocol/control.ts";
import { CorePage } from "../../support/core-page.ts";
import { HandPeer } from "../../support/hand-peer.ts";
import { memoryPair } from "../../support/memory-transport.ts";

const GOAWAY = 5;
const PROBE = 4;

const open: CorePage[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((page) => page.close()));
});

/** A page whose every dial meets a new peer. */
async function page() {
	const page = await CorePage.start();
	open.push(page);
	const dials: DialData[] = [];
	const peers: HandPeer[] = [];
	let dialed = () => {};
	page.dial = async (_signal, dial) => {
		dials.push(dial);
		const { left, right } = memoryPair("moq-lite-04");
		peers.push(new HandPeer(right));
		dialed();
		return left;
	};
	const connect = (url: string, options = {}) => page.runtime.connect(url, { versions: ["moq-lite-04"], ...options });
	/** Waits until so many dials were made. */
	const until = async (count: number) => {
		while (dials.length < count) await new Promise<void>((resolve) => (dialed = resolve));
	};
	return { page, dials, peers, connect, until };
}

function goaway(peer: HandPeer | undefined, uri: string): void {
	const bytes = new TextEncoder().encode(uri);
	peer?.send([GOAWAY, bytes.length + 1, bytes.length, ...bytes]);
}

function once<Name extends keyof ConnectionEventMap>(
	connection: Connection,
	name: Name,
): Promise<ConnectionEventMap[Name]> {
	return new Promise((resolve) => connection.addEventListener(name, ({ detail }) => resolve(detail), { once: true }));
}

test("a relay that goes away is followed to the address it names, and the old session is let go", async () => {
	const { dials, peers, connect, until } = await page();
	const connection = await connect("https://one.example/demo");
	const told = once(connection, "goaway");
	goaway(peers[0], "https://two.example/x");
	expect(await told).toEqual({ uri: "https://two.example/x" });
	await until(2);
	expect(dials[1]?.url).toBe("https://two.example/x");
	await expect.poll(() => connection.url).toBe("https://two.example/x");
	expect(connection.state).toBe("connected");
	// The end of the old session is not the end of the connection.
	peers[0]?.close(0x10, "time is up");
	await peers[0]?.end();
	expect((await connection.stats()).openStreams).toBeGreaterThanOrEqual(0);
	expect(connection.state).toBe("connected");
	peers[1]?.close(0, "done");
	expect(await connection.closed).toMatchObject({ local: false });
});

test("an empty address means the same place", async () => {
	const { dials, peers, connect, until } = await page();
	await connect("https://one.example/demo", { token: "secret" });
	goaway(peers[0], "");
	await until(2);
	expect(dials[1]).toEqual(dials[0]);
});

test("a token function is asked for each dial, and never for another server", async () => {
	const { dials, peers, connect, until } = await page();
	let count = 0;
	const connection = await connect("https://one.example/demo", { token: async () => `t${++count}` });
	goaway(peers[0], "");
	await until(2);
	await expect.poll(async () => (await connection.stats()).openStreams).toBeGreaterThanOrEqual(0);
	goaway(peers[1], "https://one.example/other");
	await until(3);
	await expect.poll(() => connection.url).toBe("https://one.example/other");
	goaway(peers[2], "https://two.example/");
	await until(4);
	expect(dials.map(({ url }) => url)).toEqual([
		"https://one.example/demo?jwt=t1",
		"https://one.example/demo?jwt=t2",
		"https://one.example/other?jwt=t3",
		"https://two.example/",
	]);
	expect(count).toBe(3);
});

test("a token function that fails when it is asked again is the cause of the end", async () => {
	const { dials, peers, connect } = await page();
	const token = vi.fn<() => Promise<string>>().mockResolvedValueOnce("t1").mockRejectedValue(new Error("logged out"));
	const connection = await connect("https://one.example/demo", { token });
	goaway(peers[0], "");
	await expect.poll(() => token.mock.calls.length).toBe(2);
	peers[0]?.close(0x10, "time is up");
	await expect(connection.closed).rejects.toMatchObject({ kind: "unauthorized" });
	expect(dials).toHaveLength(1);
});

test("an address that is less safe is not followed; the session goes on to its end, then the first address is dialled", async () => {
	const { dials, peers, connect, until } = await page();
	const connection = await connect("https://one.example/demo");
	const told = once(connection, "goaway");
	goaway(peers[0], "http://one.example/demo");
	await told;
	await connection.stats();
	expect(dials).toHaveLength(1);
	peers[0]?.close(0x10, "time is up");
	await until(2);
	expect(dials[1]).toEqual(dials[0]);
});

test("who opted out stays", async () => {
	const { dials, peers, connect } = await page();
	const connection = await connect("https://one.example/demo", { reconnect: false });
	const told = once(connection, "goaway");
	goaway(peers[0], "");
	await told;
	await connection.stats();
	expect(dials).toHaveLength(1);
});

test("a relay that cannot be reached leaves the connection to the end of the old session, and says so", async () => {
	const { page: broken, peers, connect } = await page();
	const connection = await connect("https://one.example/demo", { reconnect: { maxAttempts: 1, initialMs: 10 } });
	let failed = () => {};
	const dialed = new Promise<void>((resolve) => (failed = resolve));
	broken.dial = () => {
		failed();
		return Promise.reject({ kind: "transport", message: "nobody is there" });
	};
	goaway(peers[0], "");
	await dialed;
	expect(connection.state).toBe("connected");
	const reconnecting = once(connection, "reconnecting");
	peers[0]?.close(0x10, "time is up");
	expect((await reconnecting).cause).toMatchObject({ kind: "going-away" });
	await expect(connection.closed).rejects.toMatchObject({ kind: "transport", message: "nobody is there" });
});

test("an old session that ends during the move does not end the connection", async () => {
	const { page: slow, dials, peers, connect, until } = await page();
	const connection = await connect("https://one.example/demo");
	const { dial } = slow;
	let go = () => {};
	const gate = new Promise<void>((resolve) => (go = resolve));
	slow.dial = async (signal, data) => {
		await gate;
		return dial(signal, data);
	};
	const told = once(connection, "goaway");
	goaway(peers[0], "https://two.example/");
	await told;
	peers[0]?.close(0x10, "time is up");
	await peers[0]?.end();
	await connection.stats();
	go();
	await until(2);
	await expect.poll(() => connection.url).toBe("https://two.example/");
	expect(connection.state).toBe("connected");
	expect(dials).toHaveLength(2);
});

test("relays that send each other around are followed three times", async () => {
	const { dials, peers, connect, until } = await page();
	const connection = await connect("https://one.example/");
	for (let move = 1; move <= 3; move++) {
		goaway(peers[move - 1], `https://r${move}.example/`);
		await until(move + 1);
		await expect.poll(() => connection.url).toBe(`https://r${move}.example/`);
	}
	const told = once(connection, "goaway");
	goaway(peers[3], "https://r4.example/");
	await told;
	await connection.stats();
	expect(dials).toHaveLength(4);
});

test("the estimate of the peer is a stream of what is newest", async () => {
	const { peers, connect } = await page();
	const connection = await connect("https://one.example/");
	const peer = peers[0];
	if (!peer) throw new Error("nobody was dialed");
	const reader = connection.bandwidth.getReader();
	const first = reader.read();
	const probe = await peer.stream(PROBE);
	peer.answer(probe, [0x05, 0x80, 0x0f, 0x42, 0x40, 0x28]);
	expect(await first).toEqual({ done: false, value: { bitsPerSecond: 1_000_000, rttMs: 40 } });
	expect(connection.bandwidth).toBe(connection.bandwidth);
	expect(await connection.stats()).toMatchObject({ bitsPerSecond: 1_000_000, rttMs: 40 });
	const second = reader.read();
	peer.answer(probe, [0x02, 0x01, 0x01]);
	expect(await second).toEqual({ done: false, value: { bitsPerSecond: 1, rttMs: 1 } });
	// A stream that is cancelled is replaced by one that begins with the newest estimate.
	await reader.cancel();
	const again = connection.bandwidth.getReader();
	expect(await again.read()).toEqual({ done: false, value: { bitsPerSecond: 1, rttMs: 1 } });
	const last = again.read();
	connection.close();
	expect(await last).toEqual({ done: true, value: undefined });
});

const dial: DialData = {
	url: "https://one.example/demo?jwt=secret",
	versions: ["moq-lite-06"],
	transport: "auto",
	serverCertificateHashes: [new Uint8Array(32)],
	websocket: { url: "wss://one.example/ws", delayMs: 5 },
};

test.each([
	["https://one.example/other", "https://one.example/other?jwt=secret"],
	["https://one.example/other?jwt=fresh#x", "https://one.example/other?jwt=fresh"],
])("a redirect to %s on the same server takes the token along", (uri, url) => {
	expect(redirected(dial, uri)).toEqual({ ...dial, url });
});

test.each(["https://two.example/demo", "https://one.example:444/demo"])(
	"a redirect to %s shows the other server nothing of this one",
	(uri) => {
		expect(redirected(dial, uri)).toEqual({
			url: uri,
			versions: dial.versions,
			transport: "auto",
			websocket: { delayMs: 5 },
		});
	},
);

test.each([
	"http://one.example/",
	"wss://one.example/",
	"/relative",
	"javascript:alert(1)",
	"https://user@two.example/",
	`https://two.example/${"x".repeat(8192)}`,
])("a redirect to %s is not followed", (uri) => {
	expect(redirected(dial, uri)).toBeUndefined();
});

test("an insecure address may become secure, and another insecure one", () => {
	const local = { ...dial, url: "http://localhost:4443/demo" };
	expect(redirected(local, "https://two.example/")?.url).toBe("https://two.example/");
	expect(redirected(local, "http://localhost:4444/")?.url).toBe("http://localhost:4444/");
});
