// A page that is no secure context, as http: pages of other hosts are, works over WebSocket and says what it has to do without.
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { commands } from "vitest/browser";
import { sign } from "./token.ts";

let browser: string;

/** A relay lets pages of other hosts in with a token only. */
const relay = async () => ({
	url: `${inject("guardedRelay").url}/insecure`,
	token: await sign({ root: "insecure", put: [""], get: [""] }),
});

beforeEach(async () => {
	browser = await commands.startBrowser({ isInsecure: true });
});

afterEach(() => commands.killBrowser(browser));

/** What a call is refused with. */
const REFUSED = `const refused = (call) => Promise.resolve().then(call).then(() => undefined, ({ kind, message }) => ({ kind, message }));`;

test("it connects over WebSocket, and says why not over WebTransport", async () => {
	const program = `
		${REFUSED}
		const connection = await moq.connect(args.url, { token: args.token });
		const wt = await refused(() => moq.connect(args.url, { token: args.token, transport: "webtransport" }));
		return { isSecure: isSecureContext, transport: connection.transport, lost: connection.fallbackReason, wt };
	`;
	expect(await commands.runInBrowser(browser, program, await relay())).toEqual({
		isSecure: false,
		transport: "websocket",
		lost: expect.stringContaining("secure context"),
		wt: { kind: "unsupported", message: expect.stringContaining("secure context") },
	});
});

test("messages go both ways, and media are refused for that reason", async () => {
	const program = `
		const connection = await moq.connect(args.url, { token: args.token });
		connection.createBroadcast("room").createTrack("chat").writeFrame("hello");
		const broadcast = await connection.waitForBroadcast("room");
		const frame = await (await broadcast.track("chat").subscribe()).readFrame();
		const failure = (target) => new Promise((resolve) =>
			target.addEventListener("error", ({ detail: { kind, message } }) => resolve({ kind, message }), { once: true }));
		const path = "picture.hang";
		const publisher = failure(new media.Publisher({ connection, broadcast: path, source: "test-pattern" }));
		const catalog = connection.createBroadcast("theirs.hang").createTrack("catalog.json");
		const video = { renditions: { video: { codec: "avc1.42e01e", container: { kind: "legacy" }, codedWidth: 640, codedHeight: 360 } } };
		catalog.writeFrame(JSON.stringify({ video }));
		const canvas = document.createElement("canvas");
		const player = failure(new media.Player({ connection, broadcast: "theirs.hang", canvas }));
		return { text: frame.text(), publisher: await publisher, player: await player };
	`;
	const refused = { kind: "unsupported", message: expect.stringContaining("secure context") };
	const told = await commands.runInBrowser(browser, program, await relay());
	expect(told).toEqual({ text: "hello", publisher: refused, player: refused });
});
