// A page that goes into the cache of the browser closes its session, and makes another one when it comes back.
import { loadRuntime } from "moq-worker";
import { expect, inject, test } from "vitest";
import { commands } from "vitest/browser";

const PUBLISH = `
	const connection = await moq.connect(args.url, { transport: args.transport });
	const track = connection.createBroadcast("room").createTrack("chat");
	const states = [];
	connection.addEventListener("statechange", ({ detail }) => states.push(detail));
	globalThis.kept = { connection, track, states };
	track.writeFrame("first");
`;

test.each(["webtransport", "websocket"] as const)(
	"a page that is left and comes back (%s)",
	{ timeout: 60_000 },
	async (transport) => {
		const url = `${inject("relayUrl")}/away/${transport}`;
		const runtime = await loadRuntime();
		const browser = await commands.startBrowser();
		try {
			const viewer = await runtime.connect(url, { transport });
			const announcements = viewer.announced();
			await commands.runInBrowser(browser, PUBLISH, { url, transport });
			expect(await announcements.next()).toMatchObject({ event: "active", path: "room" });
			const subscriber = await (await viewer.waitForBroadcast("room")).track("chat").subscribe();
			expect((await subscriber.readFrame())?.text()).toBe("first");
			expect(await commands.leaveAndReturn(browser, "data:text/html,elsewhere")).toBe(true);
			// At once, not when the relay has missed it for ten seconds.
			expect(await announcements.next()).toMatchObject({ event: "ended", path: "room" });
			expect(await announcements.next()).toMatchObject({ event: "active", path: "room" });
			// For its readers the publisher was gone.
			await expect(subscriber.readFrame()).rejects.toMatchObject({ kind: "dropped" });
			const again = await (await viewer.waitForBroadcast("room")).track("chat").subscribe();
			await commands.runInBrowser(browser, 'globalThis.kept.track.writeFrame("second");');
			let text: string | undefined;
			do text = (await again.readFrame())?.text();
			while (text === "first");
			expect(text).toBe("second");
			const states = await commands.runInBrowser(browser, "return globalThis.kept.states;");
			expect(states).toEqual(["reconnecting", "connected"]);
		} finally {
			await runtime.close();
			await commands.killBrowser(browser);
		}
	},
);
