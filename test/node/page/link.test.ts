import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
	ClosedError,
	MoqError,
	NotFoundError,
	UsageError,
	WorkerCrashedError,
	WorkerError,
} from "../../../src/handle/error.ts";
import { HEARTBEAT_MS, MAX_PENDING_CALLS, MAX_QUEUED_CALLS } from "../../../worker/protocol/limits.ts";
import { ScriptedPage, settled } from "../../support/scripted-control.ts";

let page: ScriptedPage;

beforeEach(() => {
	page = new ScriptedPage();
});

afterEach(() => {
	vi.useRealTimers();
	page.close();
});

const crash = () => new WorkerCrashedError({ kind: "worker-crashed", message: "panicked at core.rs:1" });

test("the death of the worker rejects every pending call and every handle, once, with the same error", async () => {
	const unhandled = vi.fn();
	process.on("unhandledRejection", unhandled);
	const origin = page.runtime.origin();
	const waiting = origin.waitForBroadcast("a");
	const broadcast = origin.createBroadcast("b");
	const track = broadcast.createTrack("t");
	const group = track.appendGroup();
	const stream = origin.announced();
	const announced = stream.next();
	const used = track.used();
	const reader = track.consume();
	const subscribing = reader.subscribe();
	const fetching = reader.fetchGroup(3);
	const connecting = page.runtime.connect("https://relay.example/");
	await page.next("connect");
	const error = crash();
	page.link.die(error);
	for (const wait of [waiting, announced, used, subscribing, fetching, connecting]) {
		await expect(wait).rejects.toBe(error);
	}
	for (const handle of [origin, broadcast, track, group, stream, reader]) {
		await expect(handle.closed).rejects.toBe(error);
	}
	expect(page.isTerminated).toBe(true);
	expect(() => track.writeFrame("x")).toThrow(error);
	await settled();
	process.off("unhandledRejection", unhandled);
	expect(unhandled).not.toHaveBeenCalled();
});

test("calls on a dead worker reject in the same turn", () => {
	const origin = page.runtime.origin();
	page.link.die(crash());
	expect(origin.waitForBroadcast("a").status).toBe("rejected");
	expect(page.runtime.connect("https://relay.example/").status).toBe("rejected");
	expect(page.runtime.stats().status).toBe("rejected");
	expect(() => origin.createBroadcast("b")).toThrow(WorkerError);
});

test("a silent worker counts as dead after three missed pings, while something waits", async () => {
	vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
	page.automatic.delete("ping");
	const waiting = page.runtime.origin().waitForBroadcast("a");
	vi.advanceTimersByTime(HEARTBEAT_MS * 3 - 1);
	expect(waiting.status).toBe("pending");
	vi.advanceTimersByTime(1);
	expect(waiting.status).toBe("rejected");
	await expect(waiting).rejects.toThrow(/has not answered for 3.9 s/);
	await expect(waiting).rejects.toBeInstanceOf(WorkerCrashedError);
});

test("time in which the page did not run does not count against the worker", async () => {
	vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
	page.automatic.delete("ping");
	const waiting = page.runtime.origin().waitForBroadcast("a");
	for (let tick = 0; tick < 10; tick++) {
		// The page was frozen for a minute, and its timer fires once when it goes on.
		vi.setSystemTime(0);
		vi.advanceTimersByTime(0);
		const now = performance.now();
		vi.spyOn(performance, "now").mockReturnValue(now + 60_000 * (tick + 1));
		vi.advanceTimersByTime(HEARTBEAT_MS);
		vi.mocked(performance.now).mockRestore();
	}
	expect(waiting.status).toBe("pending");
	waiting.cancel();
});

test("an answering worker is never taken for dead, and an idle page does not ping", async () => {
	vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
	const origin = page.runtime.origin();
	const waiting = origin.waitForBroadcast("a");
	for (let tick = 0; tick < 5; tick++) {
		vi.advanceTimersByTime(HEARTBEAT_MS);
		await settled();
	}
	expect(waiting.status).toBe("pending");
	expect(page.count("ping")).toBeGreaterThanOrEqual(5);
	waiting.cancel();
	(await page.next("waitForBroadcast")).reject({ kind: "cancelled", message: "withdrawn by the page" });
	origin.close();
	await settled();
	vi.advanceTimersByTime(HEARTBEAT_MS);
	await settled();
	const pings = page.count("ping");
	vi.advanceTimersByTime(HEARTBEAT_MS * 5);
	await settled();
	expect(page.count("ping")).toBe(pings);
});

test("more calls that may wait for ever than the table holds are refused by name", async () => {
	const origin = page.runtime.origin();
	await settled();
	const waits = Array.from({ length: MAX_PENDING_CALLS }, (_, index) => origin.waitForBroadcast(`path/${index}`));
	const refused = origin.waitForBroadcast("one more");
	expect(refused.status).toBe("rejected");
	await expect(refused).rejects.toMatchObject({ kind: "too-many-pending" });
	for (const wait of waits) wait.cancel();
});

describe("calls that wait for their turn", () => {
	const start = async () => {
		const found = page.runtime.origin().requestBroadcast("a");
		(await page.next("requestBroadcast")).resolve({ hops: [] });
		return (await found).track("t");
	};
	const confirm = { cacheMs: 5000, priority: 127, ordered: false, compress: false };

	test("go to the worker in their order, a bounded number at a time, and all are answered", async () => {
		const track = await start();
		const count = MAX_PENDING_CALLS + 500;
		const infos = Array.from({ length: count }, () => track.info());
		await settled();
		expect(page.count("trackInfo")).toBe(MAX_PENDING_CALLS);
		for (let at = 0; at < count; at++) {
			(await page.next("trackInfo")).resolve({ ...confirm, priority: at % 256 });
			const { priority } = await (infos[at] as (typeof infos)[number]);
			expect(priority).toBe(at % 256);
		}
		expect(page.link.live.calls).toBe(0);
	});

	test("are not sent once they are withdrawn", async () => {
		const track = await start();
		const first = Array.from({ length: MAX_PENDING_CALLS }, () => track.info());
		const withdrawn = track.info();
		const subscribing = track.subscribe();
		const last = track.info();
		withdrawn.cancel();
		subscribing.cancel();
		await expect(withdrawn).rejects.toMatchObject({ kind: "cancelled" });
		await expect(subscribing).rejects.toMatchObject({ kind: "cancelled" });
		await settled();
		expect(page.count("cancel")).toBe(0);
		for (const _ of first) (await page.next("trackInfo")).resolve(confirm);
		(await page.next("trackInfo")).resolve(confirm);
		await last;
		await settled();
		expect(page.count("trackInfo")).toBe(MAX_PENDING_CALLS + 1);
		expect(page.count("subscribe")).toBe(0);
		await Promise.all(first);
	});

	test("keep the handle they need until they are sent", async () => {
		const track = await start();
		const first = Array.from({ length: MAX_PENDING_CALLS }, () => track.info());
		const subscribing = track.subscribe();
		track.close();
		await settled();
		const names = () => page.calls.map((call) => call.name).filter((name) => name === "subscribe" || name === "free");
		expect(names()).toEqual([]);
		for (const info of first) await expect(info).rejects.toMatchObject({ kind: "closed" });
		// The worker answers each withdrawal.
		for (const _ of first) (await page.next("trackInfo")).reject({ kind: "cancelled", message: "withdrawn" });
		(await page.next("subscribe")).resolve(confirm);
		await subscribing;
		await settled();
		expect(names()).toEqual(["subscribe", "free"]);
	});

	test("end with the worker", async () => {
		const track = await start();
		const infos = Array.from({ length: MAX_PENDING_CALLS + 5 }, () => track.info());
		const error = crash();
		page.link.die(error);
		for (const info of infos) await expect(info).rejects.toBe(error);
		expect(page.link.live).toEqual({ handles: 0, calls: 0 });
	});

	test("are refused by name beyond the queue", async () => {
		const track = await start();
		const infos = Array.from({ length: MAX_PENDING_CALLS + MAX_QUEUED_CALLS }, () => track.info());
		const refused = track.info();
		expect(refused.status).toBe("rejected");
		await expect(refused).rejects.toMatchObject({ kind: "too-many-pending" });
		await expect(refused).rejects.toThrow(/16384 calls/);
		expect(infos.every((info) => info.status === "pending")).toBe(true);
		for (const info of infos) info.cancel();
	});
});

test("a refused handle rejects its closed and the calls that follow, and nothing is unhandled", async () => {
	page.automatic.delete("track");
	const found = page.runtime.origin().requestBroadcast("a");
	(await page.next("requestBroadcast")).resolve({ hops: [] });
	const track = (await found).track("nope");
	const early = track.subscribe();
	const refusal = { kind: "not-found", message: "no track nope" };
	(await page.next("track")).reject(refusal);
	(await page.next("subscribe")).reject(refusal);
	await expect(early).rejects.toBeInstanceOf(NotFoundError);
	await expect(track.closed).rejects.toBeInstanceOf(NotFoundError);
	const late = track.subscribe();
	expect(late.status).toBe("rejected");
	await expect(late).rejects.toThrow("no track nope");
});

test("what arrives after it was cancelled is let go of by the worker", async () => {
	const waiting = page.runtime.origin().waitForBroadcast("a");
	const call = await page.next<{ broadcast: number }>("waitForBroadcast");
	waiting.cancel();
	call.resolve();
	expect((await page.next<{ id: number }>("cancel")).args).toEqual({ id: call.args.broadcast });
	await expect(waiting).rejects.toMatchObject({ kind: "cancelled" });
});

test("closing a handle twice frees it once, and calls on it say so", async () => {
	const origin = page.runtime.origin();
	origin.close();
	origin.close();
	await settled();
	expect(page.count("free")).toBe(1);
	expect(() => origin.createBroadcast("a")).toThrow(ClosedError);
	await expect(origin.waitForBroadcast("a")).rejects.toThrow("the origin was closed");
	await origin.closed;
});

test("wrong arguments are named before anything is sent", async () => {
	const { runtime } = page;
	const refused = {
		"url is not an absolute address": () => runtime.connect("relay"),
		"url must begin with https:// or http://, not ftp://": () => runtime.connect("ftp://relay.example"),
		"versions must be one of": () => runtime.connect("https://r.example", { versions: ["moq-lite-99" as never] }),
		"versions must name at least one version": () => runtime.connect("https://r.example", { versions: [] }),
		"transport must be one of": () => runtime.connect("https://r.example", { transport: "quic" as never }),
		"64 hexadecimal digits": () => runtime.connect("https://r.example", { serverCertificateHashes: ["abc"] }),
		"websocket.delayMs": () => runtime.connect("https://r.example", { websocket: { delayMs: -1 } }),
		"user name": () => runtime.connect("https://user:secret@r.example"),
	};
	for (const [message, call] of Object.entries(refused)) {
		const pending = call();
		expect(pending.status, message).toBe("rejected");
		const error = await pending.catch((reason: unknown) => reason);
		expect(error).toBeInstanceOf(UsageError);
		expect(String(error)).toContain(message);
		expect(String(error)).not.toContain("secret");
	}
	await settled();
	expect(page.count("connect")).toBe(0);
});

test("a connection takes only codes of the application, and another leaves it open", async () => {
	const connecting = page.runtime.connect("https://relay.example/");
	(await page.next("connect")).resolve({ version: "moq-lite-06", transport: "webtransport" });
	const connection = await connecting;
	for (const code of [1, 63, -1, 2 ** 32, 0.5]) expect(() => connection.close(code)).toThrow(UsageError);
	expect(connection.state).toBe("connected");
	connection.close(64);
	expect((await page.next<{ code: number }>("closeConnection")).args.code).toBe(64);
});

test("the token goes into the address of the dial and nowhere else", async () => {
	const connecting = page.runtime.connect("https://relay.example/demo?x=1", { token: async () => "s3cret" });
	const call = await page.next<{ dial: { url: string } }>("connect");
	expect(call.args.dial.url).toBe("https://relay.example/demo?x=1&jwt=s3cret");
	call.resolve({ version: "moq-lite-05", transport: "webtransport" });
	const connection = await connecting;
	expect(connection.url).toBe("https://relay.example/demo");
	expect(connection).toMatchObject({ version: "moq-lite-05", transport: "webtransport", state: "connected" });
});

test("a connection that is lost says so once, by event and by closed", async () => {
	const connecting = page.runtime.connect("https://relay.example/");
	const call = await page.next<{ port: MessagePort }>("connect");
	call.resolve({ version: "moq-lite-05", transport: "websocket", lost: "no UDP" });
	const connection = await connecting;
	expect(connection.fallbackReason).toBe("no UDP");
	const events: string[] = [];
	connection.addEventListener("statechange", ({ detail }) => events.push(detail));
	connection.addEventListener("error", ({ detail }) => events.push(detail.kind));
	const removed = ({ detail }: CustomEvent<MoqError>) => events.push(`removed ${detail.kind}`);
	connection.addEventListener("error", removed);
	connection.removeEventListener("error", removed);
	call.args.port.postMessage({ type: "closed", error: { kind: "transport", message: "connection lost" } });
	const error = await connection.closed.catch((reason: unknown) => reason);
	expect(error).toBeInstanceOf(MoqError);
	expect(error).toMatchObject({ kind: "transport", retryable: true });
	expect(events).toEqual(["closed", "transport"]);
});

test("a connection closed by the peer resolves closed with its code", async () => {
	const connecting = page.runtime.connect("https://relay.example/");
	const call = await page.next<{ port: MessagePort }>("connect");
	call.resolve({ version: "moq-lite-05", transport: "webtransport" });
	const connection = await connecting;
	call.args.port.postMessage({ type: "closed", close: { code: 64, reason: "bye", local: false } });
	expect(await connection.closed).toEqual({ code: 64, reason: "bye", local: false });
});

test("closing the runtime lets the worker say goodbye, rejects what waits, and ends", async () => {
	const waiting = page.runtime.origin().waitForBroadcast("a");
	const closing = page.runtime.close();
	expect(waiting.status).toBe("rejected");
	await expect(waiting).rejects.toBeInstanceOf(ClosedError);
	expect(page.isTerminated).toBe(false);
	(await page.next("shutdown")).resolve();
	await closing;
	expect(page.isTerminated).toBe(true);
});

test("a worker that does not say goodbye is ended after a second", async () => {
	vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
	const closing = page.runtime.close();
	await vi.advanceTimersByTimeAsync(1000);
	await closing;
	expect(page.isTerminated).toBe(true);
});
