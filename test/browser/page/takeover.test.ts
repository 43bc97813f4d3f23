// A publisher that is dead and has not said so does not hold its path.
import { type BroadcastConsumer, loadRuntime } from "moq-worker";
import { expect, inject, test } from "vitest";
import { commands } from "vitest/browser";

const TRANSPORTS = ["webtransport", "websocket"] as const;

/** Publishes `args.tag` every 50 ms. */
const PUBLISH = `
	const connection = await moq.connect(args.url, { transport: args.transport });
	const track = connection.createBroadcast("room").createTrack("chat");
	globalThis.kept = [connection, track, setInterval(() => track.writeFrame(args.tag), 50)];
`;

test.each(TRANSPORTS)(
	"who comes after a killed browser is heard at once (%s)",
	{ timeout: 60_000 },
	async (transport) => {
		const url = `${inject("relayUrl")}/takeover/${transport}`;
		const browsers = await Promise.all([commands.startBrowser(), commands.startBrowser()]);
		const [old, fresh] = browsers as [string, string];
		const runtime = await loadRuntime();
		try {
			const viewer = await runtime.connect(url, { transport });
			const heard = new Map<string, () => void>();
			const hears = (tag: string) => new Promise<void>((resolve) => heard.set(tag, resolve));
			const read = async (broadcast: BroadcastConsumer) => {
				for await (const group of await broadcast.track("chat").subscribe()) {
					for await (const frame of group) heard.get(frame.text())?.();
				}
			};
			const announcements = viewer.announced();
			const watching = (async () => {
				for await (const { broadcast } of announcements) {
					// What is cut off is read again from who comes next; the last one ends with the test.
					if (broadcast) read(broadcast).catch((error) => expect(["dropped", "closed"]).toContain(error.kind));
				}
			})();
			const before = hears("old");
			const after = hears("new");
			await commands.runInBrowser(old, PUBLISH, { url, transport, tag: "old" });
			await before;
			await commands.killBrowser(old);
			await new Promise((resolve) => setTimeout(resolve, 300));
			await commands.runInBrowser(fresh, PUBLISH, { url, transport, tag: "new" });
			const connected = performance.now();
			await after;
			// The dead session goes on for ten seconds.
			expect(performance.now() - connected).toBeLessThan(2000);
			announcements.close();
			await watching;
		} finally {
			await Promise.all(browsers.map((name) => commands.killBrowser(name)));
			await runtime.close();
		}
	},
);
