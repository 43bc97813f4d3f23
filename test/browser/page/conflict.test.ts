// What publishers hear of each other that announce one path to one relay.
import { type BroadcastProducer, type ConflictInfo, type Connection, loadRuntime, type Runtime } from "moq-worker";
import { afterEach, expect, inject, test } from "vitest";
import { sign } from "./token.ts";

const guarded = inject("guardedRelay").url;
const TRANSPORTS = ["webtransport", "websocket"] as const;
const open: Runtime[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((runtime) => runtime.close()));
});

type Transport = (typeof TRANSPORTS)[number];

/** A page of its own. */
async function connect(url: string, transport: Transport, token?: string): Promise<Connection> {
	const runtime = await loadRuntime();
	open.push(runtime);
	return await runtime.connect(url, token === undefined ? { transport } : { transport, token });
}

/** The next conflict of a broadcast. */
function conflict(broadcast: BroadcastProducer): Promise<ConflictInfo> {
	return new Promise((resolve) =>
		broadcast.addEventListener("conflict", ({ detail }) => resolve(detail), { once: true }),
	);
}

/** All conflicts of a broadcast, as they come. */
function conflicts(broadcast: BroadcastProducer): ConflictInfo[] {
	const heard: ConflictInfo[] = [];
	broadcast.addEventListener("conflict", ({ detail }) => heard.push(detail));
	return heard;
}

test.each(TRANSPORTS)("two pages that publish one path both hear of it (%s)", async (transport) => {
	const url = `${inject("relayUrl")}/conflict/${transport}`;
	const one = await connect(url, transport);
	const first = one.createBroadcast("room");
	const other = one.createBroadcast("other");
	const none = conflicts(other);
	const early = conflict(first);
	const two = await connect(url, transport);
	const second = two.createBroadcast("room");
	const late = conflict(second);
	expect(await early).toEqual({ path: "room", connection: one });
	expect(await late).toEqual({ path: "room", connection: two });
	expect(none).toEqual([]);
	expect([one.state, two.state]).toEqual(["connected", "connected"]);
});

test.each(TRANSPORTS)("one's own broadcast that comes back is no conflict (%s)", async (transport) => {
	const url = `${inject("relayUrl")}/conflict/own/${transport}`;
	const runtime = await loadRuntime();
	open.push(runtime);
	const publish = runtime.origin();
	const consume = runtime.origin();
	// Both read what both publish: each gets the broadcast back by way of the relay.
	const one = await runtime.connect(url, { transport, publish, consume });
	await runtime.connect(url, { transport, publish, consume });
	const mine = publish.createBroadcast("mine");
	const none = conflicts(mine);
	const shared = publish.createBroadcast("shared");
	const told = conflict(shared);
	one.close();
	await runtime.connect(url, { transport, publish, consume });
	// What another publishes is told of later than what comes back.
	const far = await connect(url, transport);
	far.createBroadcast("shared");
	expect((await told).path).toBe("shared");
	expect(none).toEqual([]);
});

test.each(TRANSPORTS)("a page that may not read there hears nothing (%s)", async (transport) => {
	const root = `conflict-${transport}`;
	const writer = await sign({ root, put: [""], get: ["other"] });
	const reader = await sign({ root, put: [""], get: [""] });
	const blind = await connect(`${guarded}/${root}`, transport, writer);
	const seeing = await connect(`${guarded}/${root}`, transport, reader);
	const hidden = conflicts(blind.createBroadcast("room"));
	const seen = conflict(seeing.createBroadcast("room"));
	expect((await seen).connection).toBe(seeing);
	const theirs = blind.createBroadcast("other/room");
	const readable = conflict(theirs);
	seeing.createBroadcast("other/room");
	await readable;
	expect(hidden).toEqual([]);
});
