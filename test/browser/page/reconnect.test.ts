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
