import { afterEach, expect, test } from "vitest";
import { anchorOf } from "../../../src/handle/anchor.ts";
import { CONTROL_METHODS } from "../../../worker/protocol/control.ts";
import { CorePage } from "../../support/core-page.ts";

const open: CorePage[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((page) => page.close()));
});

/** The same numbers for the same seed, so that a failing run can be repeated. */
function random(seed: number): (below: number) => number {
	let state = seed >>> 0;
	return (below) => {
		state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
		return Math.floor((state / 2 ** 32) * below);
	};
}

/** Calls that end the worker, need a network, or make media that needs a browser. */
const LEFT_OUT = new Set(["shutdown", "openPlayer", "openPublisher", "openRenderer", "connect"]);
const NAMES = Object.keys(CONTROL_METHODS).filter((name) => !LEFT_OUT.has(name));
/** The argument that names what a call makes. */
const MADE: Record<string, string> = {
	createOrigin: "origin",
	announced: "stream",
	requestBroadcast: "broadcast",
	waitForBroadcast: "broadcast",
	publish: "publication",
	createBroadcast: "broadcast",
	consume: "broadcast",
	cloneBroadcast: "broadcast",
	broadcastClosed: "operation",
	track: "track",
	trackInfo: "operation",
	trackLatest: "operation",
	subscribe: "subscription",
	fetchGroup: "group",
	getGroup: "group",
	createTrack: "producer",
	consumeTrack: "track",
};
const KEYS = [
	"id",
	"origin",
	"stream",
	"broadcast",
	"from",
	"producer",
	"publication",
	"track",
	"operation",
	"subscription",
	"group",
	"connection",
	"path",
	"prefix",
	"name",
	"prefs",
	"info",
	"credit",
	"sequence",
	"priority",
	"frameStart",
	"code",
	"reason",
];

const shown = (args: unknown) => JSON.stringify(args, (_, value) => (typeof value === "bigint" ? `${value}n` : value));

test.each([1, 2, 3, 4])(
	"random calls with random arguments get a typed answer and break nothing (seed %i)",
	async (seed) => {
		const page = await CorePage.start();
		open.push(page);
		const next = random(seed);
		const value = (): unknown => {
			const values: (() => unknown)[] = [
				() => next(12),
				() => -1,
				() => 2 ** 53,
				() => 1.5,
				() => Number.NaN,
				() => "a/b",
				() => "x".repeat(5000),
				() => "",
				() => null,
				() => undefined,
				() => true,
				() => ({}),
				() => ({ frames: 3, bytes: 3 }),
				() => ({ frames: -3, bytes: "many" }),
				() => ({ priority: 999, maxLatencyMs: Number.POSITIVE_INFINITY }),
				() => [1, 2],
				() => new Uint8Array(3),
				() => 5n,
			];
			return values[next(values.length)]?.();
		};
		// One live handle of every kind, so that the calls get past the look-up of their ids.
		const origin = page.runtime.origin();
		const broadcast = origin.createBroadcast("a/b");
		const chat = broadcast.createTrack("chat");
		chat.writeFrame("hello");
		const consumer = broadcast.consume();
		const track = consumer.track("chat");
		const handles = { origin, broadcast: consumer, from: consumer, producer: broadcast, track };
		const ids = new Map(Object.entries(handles).map(([key, handle]) => [key, anchorOf(handle, key).id]));
		await track.info();
		const rounds = 1500;
		const waiting: Promise<unknown>[] = [];
		for (let round = 0; round < rounds; round++) {
			const name = NAMES[next(NAMES.length)] as "free";
			const args: Record<string, unknown> = {};
			for (const key of KEYS) if (next(4) > 0) args[key] = next(4) > 0 && ids.has(key) ? ids.get(key) : value();
			// What is made gets an id of its own most of the time; one in four takes what chance gave it.
			const made = MADE[name];
			if (made && next(4) > 0) args[made] = 1000 + round;
			// The handles stay alive.
			if (name === "free" || name === "cancel") args.id = 1000 + next(rounds);
			if (next(2) === 0) args.port = new MessageChannel().port2;
			waiting.push(
				page.link.ask(name, args as { id: number }).catch((error: unknown) => {
					expect(error, `${name} ${shown(args)}`).toMatchObject({ kind: expect.any(String) });
					expect((error as { kind: string }).kind, `${name} ${shown(args)}: ${String(error)}`).not.toBe("internal");
					expect((error as { kind: string }).kind, `${name} ${shown(args)}`).not.toBe("worker-crashed");
				}),
			);
			if (round % 100 === 0) await new Promise((resolve) => setTimeout(resolve));
		}
		// Those that wait for a broadcast nobody announces go with the page.
		await Promise.race([Promise.all(waiting), new Promise((resolve) => setTimeout(resolve, 500))]);
		// Past the ids that were used at random: a page never uses one twice.
		while (page.link.mint() < 10_000);
		const fresh = page.runtime.origin();
		fresh.createBroadcast("still works");
		expect((await fresh.requestBroadcast("still works")).path).toBe("still works");
	},
);
