import { type Connection, connect, loadRuntime, type Reconnecting, type Runtime } from "moq-worker";
import { afterEach, beforeEach, expect, test } from "vitest";
import { commands } from "vitest/browser";

const TRANSPORTS = ["webtransport", "websocket"] as const;

let runtime: Runtime;

beforeEach(async () => {
	runtime = await loadRuntime();
});

afterEach(async () => {
	await expect.poll(async () => (await runtime.stats()).ids.connection ?? 0).toBe(0);
	await runtime.close();
});

/** What a connection tells of itself from now on. */
function heard(connection: Connection) {
	const states: string[] = [];
	const attempts: Reconnecting[] = [];
	connection.addEventListener("statechange", ({ detail }) => states.push(detail));
	connection.addEventListener("reconnecting", ({ detail }) => attempts.push(detail));
	return { states, attempts };
}

test.each(TRANSPORTS)(
	"a relay that is killed and comes back is dialled again, and what was published there is there again (%s)",
	{ timeout: 60_000 },
	async (transport) => {
		const url = await commands.startRelay([]);
		const options = { transport, runtime, reconnect: { initialMs: 300 } };
		const [near, far] = await Promise.all([connect(`${url}/demo`, options), connect(`${url}/demo`, options)]);
		const events = heard(near);
		const chat = near.createBroadcast("room/bob").createTrack("chat");
		chat.writeFrame("one");
		const seen: string[] = [];
		const announced = far.announced("room/");
		const watching = (async () => {
			for await (const { event, broadcast } of announced) {
				seen.push(event);
				if (!broadcast) continue;
				const subscriber = await broadcast.track("chat").subscribe();
				seen.push((await subscriber.readFrame())?.text() ?? "nothing");
				subscriber.close();
				if (seen.length === 5) return;
			}
		})();
		await expect.poll(() => seen).toEqual(["active", "one"]);
		await commands.signalRelay(url, "SIGKILL");
		await expect.poll(() => far.state, { timeout: 20_000 }).toBe("reconnecting");
		await expect.poll(() => near.state, { timeout: 20_000 }).toBe("reconnecting");
		await commands.startRelay([], Number(new URL(url).port));
		await expect.poll(() => near.state, { timeout: 20_000 }).toBe("connected");
		await expect.poll(() => far.state, { timeout: 20_000 }).toBe("connected");
		await watching;
		expect(seen).toEqual(["active", "one", "ended", "active", "one"]);
		expect(events.states).toEqual(["reconnecting", "connected"]);
		expect(events.attempts[0]).toMatchObject({ attempt: 1, cause: { kind: "transport" } });
		expect(events.attempts[0]?.delayMs).toBeLessThanOrEqual(300);
		near.close();
		far.close();
		await commands.signalRelay(url, "SIGTERM");
	},
);

test.each(TRANSPORTS)(
	"a reader goes on behind a relay that was killed: no message is lost, and none comes twice (%s)",
	{ timeout: 60_000 },
	async (transport) => {
		const url = await commands.startRelay([]);
		const options = { transport, runtime, reconnect: { initialMs: 300 } };
		const [near, far] = await Promise.all([connect(`${url}/demo`, options), connect(`${url}/demo`, options)]);
		const track = near.createBroadcast("room/bob").createTrack("count", { cacheMs: 60_000 });
		const subscriber = await (await far.waitForBroadcast("room/bob")).track("count").subscribe();
		const told: string[] = [];
		subscriber.addEventListener("gap", ({ detail }) => told.push(`gap ${detail.from} to ${detail.to}`));
		subscriber.addEventListener("restart", () => told.push("restart"));
		const seen: number[] = [];
		const reading = (async () => {
			for await (const group of subscriber) for await (const frame of group) seen.push(Number(frame.text()));
		})();
		let count = 0;
		const write = (times: number) => {
			for (let time = 0; time < times; time++) track.writeFrame(String(count++));
		};
		write(10);
		await expect.poll(() => seen.length).toBe(10);
		await commands.signalRelay(url, "SIGKILL");
		// Chromium's network service does not survive a stream that is opened when the port has just been closed.
		if (transport === "websocket") write(10);
		await expect.poll(() => [near.state, far.state], { timeout: 20_000 }).toEqual(["reconnecting", "reconnecting"]);
		write(10);
		await commands.startRelay([], Number(new URL(url).port));
		await expect.poll(() => [near.state, far.state], { timeout: 20_000 }).toEqual(["connected", "connected"]);
		write(10);
		track.finish();
		await reading;
		expect(seen).toEqual(Array.from({ length: count }, (_, at) => at));
		expect(told).toEqual([]);
		near.close();
		far.close();
		await commands.signalRelay(url, "SIGTERM");
	},
);

test("another publisher behind a relay that came back is a restart, and is read from its beginning", async () => {
	const url = await commands.startRelay([]);
	const options = { transport: "websocket", runtime, reconnect: { initialMs: 200 } } as const;
	const publish = async () => {
		const moq = await connect(`${url}/demo`, options);
		return { moq, track: moq.createBroadcast("room/bob").createTrack("count") };
	};
	const [old, far] = await Promise.all([publish(), connect(`${url}/demo`, options)]);
	const subscriber = await (await far.waitForBroadcast("room/bob")).track("count").subscribe();
	const seen: string[] = [];
	subscriber.addEventListener("restart", () => seen.push("restart"));
	const reading = (async () => {
		for await (const group of subscriber) for await (const frame of group) seen.push(frame.text());
	})();
	old.track.writeFrame("old 0");
	old.track.writeFrame("old 1");
	await expect.poll(() => seen).toEqual(["old 0", "old 1"]);
	await commands.signalRelay(url, "SIGKILL");
	await expect.poll(() => far.state).toBe("reconnecting");
	old.moq.close();
	await commands.startRelay([], Number(new URL(url).port));
	const next = await publish();
	next.track.writeFrame("new 0");
	next.track.finish();
	await reading;
	expect(seen).toEqual(["old 0", "old 1", "restart", "new 0"]);
	next.moq.close();
	far.close();
	await commands.signalRelay(url, "SIGTERM");
});

test("where the policy gives up, everything ends once and with the cause", async () => {
	const url = await commands.startRelay([]);
	const options = { transport: "websocket", runtime, reconnect: { initialMs: 100, maxAttempts: 2 } } as const;
	const [near, far] = await Promise.all([connect(`${url}/demo`, options), connect(`${url}/demo`, options)]);
	const events = heard(far);
	const broadcast = near.createBroadcast("room/bob");
	broadcast.createTrack("count").writeFrame("one");
	const subscriber = await (await far.waitForBroadcast("room/bob")).track("count").subscribe();
	expect((await subscriber.readFrame())?.text()).toBe("one");
	const waiting = subscriber.nextGroup();
	const finding = far.waitForBroadcast("never");
	await commands.signalRelay(url, "SIGKILL");
	const error = await far.closed.catch((reason: unknown) => reason);
	expect(error).toMatchObject({ kind: "transport", retryable: expect.any(Boolean) });
	expect(events.attempts.map(({ attempt }) => attempt)).toEqual([1, 2]);
	expect(events.states).toEqual(["reconnecting", "closed"]);
	await expect(finding).rejects.toBe(error);
	await expect(waiting).rejects.toMatchObject({ kind: "transport" });
	await expect(broadcast.closed).rejects.toMatchObject({ kind: "transport" });
});
