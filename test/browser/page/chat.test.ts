import { type Connection, loadRuntime, type Runtime } from "moq-worker";
import { afterEach, expect, inject, onTestFinished, test } from "vitest";
import { openChat, showChat } from "../../../demo/chat.ts";

const open: Runtime[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((runtime) => runtime.close()));
});

test.each(["webtransport", "websocket"] as const)(
	"the demo's chat over %s shows five lines that are sent at once",
	async (transport) => {
		const list = document.createElement("ol");
		list.id = "lines";
		document.body.append(list);
		onTestFinished(() => list.remove());
		const runtime = await loadRuntime();
		open.push(runtime);
		const connect = (): PromiseLike<Connection> => runtime.connect(inject("relayUrl"), { transport });
		const send = openChat(await connect(), `chat/${transport}`);
		const lines: string[] = [];
		const showing = showChat(await connect(), `chat/${transport}`, lines);
		showing.catch(() => undefined);
		const sent = (from: number, to: number) =>
			Array.from({ length: to - from }, (_, index) => `line ${from + index} over ${transport}`);
		// The first line shows that the reader is there.
		await expect
			.poll(
				() => {
					if (lines.length === 0) send("are you there?");
					return lines.length;
				},
				{ timeout: 10_000 },
			)
			.toBeGreaterThan(0);
		for (const line of sent(0, 5)) send(line);
		await expect.poll(() => lines.filter((line) => line.startsWith("line")), { timeout: 10_000 }).toEqual(sent(0, 5));
		expect([...list.children].map((item) => item.textContent)).toEqual(lines);
	},
);
