import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ScriptedPage, settled } from "../../support/scripted-control.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

let page: ScriptedPage;

beforeEach(() => {
	page = new ScriptedPage();
});

afterEach(() => {
	vi.restoreAllMocks();
	page.close();
});

/** Runs the collector until `holds`; the registry is told some turns later. */
async function collected(holds: () => boolean): Promise<void> {
	for (let round = 0; round < 50 && !holds(); round++) {
		collect();
		await new Promise((resolve) => setTimeout(resolve, 5));
		await settled();
	}
	expect(holds()).toBe(true);
}

/** A track of a broadcast, with nothing else of the chain held. */
async function track() {
	const found = page.runtime.origin().waitForBroadcast("room/alice");
	(await page.next("waitForBroadcast")).resolve();
	return (await found).track("chat");
}

test("a subscriber that was forgotten is freed in the worker, and said so once", async () => {
	const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
	const reader = await track();
	for (let round = 0; round < 2; round++) {
		await (async () => {
			const pending = reader.subscribe();
			(await page.next("subscribe")).resolve({});
			await pending;
		})();
	}
	const subscriptions = page.calls.filter(({ name }) => name === "subscribe").map(({ args }) => args.subscription);
	const freed = () => page.calls.filter(({ name }) => name === "free").map(({ args }) => args.id);
	await collected(() => subscriptions.every((id) => freed().includes(id)));
	expect(warn).toHaveBeenCalledOnce();
	expect(String(warn.mock.calls[0]?.[0])).toContain("TrackSubscriber was collected without close()");
});

test("a handle that was closed is never warned about", async () => {
	const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
	const reader = await track();
	await (async () => {
		const pending = reader.subscribe();
		(await page.next("subscribe")).resolve({});
		(await pending).close();
	})();
	const frees = page.count("free");
	for (let round = 0; round < 5; round++) {
		collect();
		await settled();
	}
	expect(warn).not.toHaveBeenCalled();
	expect(page.count("free")).toBe(Math.max(frees, 1));
});

test("what somebody still uses keeps the connection, the origin and the broadcast it came from", async () => {
	const chat = await (async () => {
		const connecting = page.runtime.connect("https://relay.example/");
		(await page.next("connect")).resolve({ version: "moq-lite-05", transport: "webtransport" });
		return (await connecting).createBroadcast("room/bob").createTrack("chat");
	})();
	for (let round = 0; round < 5; round++) {
		collect();
		await new Promise((resolve) => setTimeout(resolve, 5));
		await settled();
	}
	expect(page.count("free")).toBe(0);
	expect(chat.writeFrame("still here")).toBe(0);
});

/** Calls that wait, on handles that are held by nothing but the call; the name of what the worker is asked. */
const WAITING: Record<string, () => Promise<{ call?: string; waiting: PromiseLike<unknown> }>> = {
	"TrackConsumer.info": async () => ({ call: "trackInfo", waiting: (await track()).info() }),
	"TrackConsumer.latest": async () => ({ call: "trackLatest", waiting: (await track()).latest() }),
	"BroadcastProducer.insertTrack": async () => ({
		call: "insertTrack",
		waiting: page.runtime
			.origin()
			.createBroadcast("room")
			.insertTrack(await track()),
	}),
	"BroadcastDynamic.next": async () => ({
		call: "nextRequest",
		waiting: page.runtime.origin().createBroadcast("room").dynamic().requestedTrack(),
	}),
	"Connection.stats": async () => ({ call: "connectionStats", waiting: (await connection()).stats() }),
	"TrackProducer.used": async () => ({
		waiting: (await connection()).createBroadcast("room").createTrack("chat").used(),
	}),
	"TrackProducer.subscriptionChanged": async () => ({
		waiting: (await connection()).createBroadcast("room").createTrack("chat").subscriptionChanged(),
	}),
	"AnnounceStream.next": async () => ({ waiting: page.runtime.origin().announced().next() }),
	"TrackSubscriber.nextGroup": async () => ({ waiting: (await subscriber()).nextGroup() }),
	"TrackSubscriber.readFrame": async () => ({ waiting: (await subscriber()).readFrame() }),
	"TrackSubscriber.recvDatagram": async () => ({ waiting: (await subscriber()).recvDatagram() }),
	"TrackSubscriber.getGroup": async () => ({ waiting: (await subscriber()).getGroup(3) }),
	"TrackSubscriber.finished": async () => ({ waiting: (await subscriber()).finished }),
};

async function connection() {
	const connecting = page.runtime.connect("https://relay.example/");
	(await page.next("connect")).resolve({ version: "moq-lite-05", transport: "webtransport" });
	return connecting;
}

async function subscriber() {
	const pending = (await track()).subscribe();
	(await page.next("subscribe")).resolve({});
	return pending;
}

test.each(Object.keys(WAITING))("a call that waits keeps its handle: %s", async (name) => {
	vi.spyOn(console, "warn").mockImplementation(() => undefined);
	for (const call of ["announced", "consume", "dynamic"]) page.automatic.add(call);
	let outcome = "waits";
	const begin = async () => {
		const begun = await WAITING[name]?.();
		begun?.waiting.then(
			() => (outcome = "resolved"),
			(error) => (outcome = String(error)),
		);
		return begun?.call;
	};
	const call = await begin();
	for (let round = 0; round < 8; round++) {
		collect();
		await new Promise((resolve) => setTimeout(resolve, 5));
		await settled();
	}
	expect(outcome).toBe("waits");
	// What is freed in the worker never answers.
	expect(page.count("free")).toBe(0);
	if (call === undefined) return;
	const asked = await page.next<{ broadcast?: string }>(call);
	asked.resolve(call === "nextRequest" ? { name: "chat", subscription: null } : {});
	await settled();
	expect(outcome).toBe("resolved");
});
