// What a publisher hears of a relay that does not want its broadcast.
import { type BroadcastProducer, loadRuntime, type MoqError, type Runtime, UnauthorizedError } from "moq-worker";
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { sign } from "./token.ts";

const { url } = inject("guardedRelay");
const TRANSPORTS = ["webtransport", "websocket"] as const;

let runtime: Runtime;

beforeEach(async () => {
	runtime = await loadRuntime();
});

afterEach(async () => {
	await runtime.close();
});

/** All warnings of a broadcast, as they come. */
function warnings(broadcast: BroadcastProducer): MoqError[] {
	const heard: MoqError[] = [];
	broadcast.addEventListener("warning", ({ detail }) => heard.push(detail));
	return heard;
}

/** The next warning of a broadcast, and after how long it came. */
function warning(broadcast: BroadcastProducer): Promise<{ error: MoqError; after: number }> {
	const begin = performance.now();
	return new Promise((resolve) => {
		const hear = ({ detail }: CustomEvent<MoqError>) => resolve({ error: detail, after: performance.now() - begin });
		broadcast.addEventListener("warning", hear, { once: true });
	});
}

test.each(TRANSPORTS)(
	"what the token does not let a page read is told to one that waits for it (%s)",
	async (transport) => {
		const token = await sign({ root: "demo", put: [""], get: ["me"] });
		const moq = await runtime.connect(`${url}/demo`, { transport, token });
		const heard: MoqError[] = [];
		moq.addEventListener("warning", ({ detail }) => heard.push(detail));
		const begin = performance.now();
		const waiting = [moq.waitForBroadcast("you/chat"), moq.waitForBroadcast("me/chat")];
		const announced = [moq.announced("you"), moq.announced("me"), moq.announced()];
		await expect.poll(() => heard.length, { timeout: 5000 }).toBe(2);
		expect(performance.now() - begin).toBeLessThan(2000);
		for (const error of heard) expect(error).toBeInstanceOf(UnauthorizedError);
		expect(heard.map(({ message }) => message.includes('"you/chat"'))).toContain(true);
		for (const wait of waiting) wait.cancel();
		for (const stream of announced) stream.close();
		moq.close();
	},
);

test.each(TRANSPORTS)("a path that the token does not cover is told within two seconds (%s)", async (transport) => {
	const token = await sign({ root: "demo", put: ["me"], get: [""] });
	const early = runtime.origin();
	const before = early.createBroadcast("meet");
	const moq = await runtime.connect(`${url}/demo`, { transport, token, publish: early });
	const told = await warning(before);
	expect(told.after).toBeLessThan(2000);
	expect(told.error).toBeInstanceOf(UnauthorizedError);
	expect(told.error.message).toContain(`${url}/demo `);
	expect(told.error.message).toContain('"meet"');
	for (const part of token.split(".")) expect(told.error.message).not.toContain(part);

	const all = [before, early.createBroadcast("me/chat"), early.withRoot("me").createBroadcast("room")];
	const [, ...covered] = all.map(warnings);
	const planned = early.createBroadcast("you", { announce: false });
	const silent = warnings(planned);
	const outside = await warning(early.createBroadcast("other"));
	expect(outside.after).toBeLessThan(2000);
	expect(outside.error.kind).toBe("unauthorized");
	expect(covered).toEqual([[], []]);
	expect(silent).toEqual([]);
	planned.announce();
	expect((await warning(planned)).after).toBeLessThan(2000);
	expect(moq.state).toBe("connected");
	moq.close();
});

test.each(TRANSPORTS)("each connection is told once, and only those that are refused (%s)", async (transport) => {
	const origin = runtime.origin();
	const viewer = await sign({ root: "demo", get: [""] });
	const publisher = await sign({ root: "demo", put: [""], get: [""] });
	const connect = (token: string) => runtime.connect(`${url}/demo`, { transport, token, publish: origin });
	const open = [await connect(publisher), await connect(viewer)];
	const broadcast = origin.createBroadcast("room");
	const heard = warnings(broadcast);
	await warning(broadcast);
	open.push(await connect(viewer));
	await warning(broadcast);
	// A later one is told after whatever the earlier ones would be told twice.
	await warning(origin.createBroadcast("last"));
	expect(heard.map((error) => error.kind)).toEqual(["unauthorized", "unauthorized"]);
	for (const connection of open) connection.close();
});
