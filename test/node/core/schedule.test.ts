import { afterEach, expect, test } from "vitest";
import { Schedule } from "../../../worker/core/schedule.ts";

const NEVER = Number.POSITIVE_INFINITY;
let schedule: Schedule | undefined;
afterEach(() => schedule?.close());

/** One turn of the event loop as a page message takes it. */
function turn(): Promise<void> {
	const { port1, port2 } = new MessageChannel();
	return new Promise((resolve) => {
		port1.onmessage = () => {
			port1.close();
			resolve();
		};
		port2.postMessage(null);
	});
}

test("inputs of one turn are one run", async () => {
	let runs = 0;
	schedule = new Schedule(() => {
		runs += 1;
		return NEVER;
	});
	for (let input = 0; input < 100; input++) schedule.wake();
	expect(runs).toBe(0);
	await turn();
	await turn();
	expect(runs).toBe(1);
});

test("a poll with more to do runs again, and messages get their turn in between", async () => {
	let runs = 0;
	schedule = new Schedule((now) => {
		runs += 1;
		return now;
	});
	schedule.wake();
	const seen: number[] = [];
	for (let message = 0; message < 5; message++) {
		await turn();
		seen.push(runs);
	}
	expect(seen[4]).toBeGreaterThan(seen[0] ?? 0);
	expect(new Set(seen).size).toBeGreaterThan(2);
});

test("the timer runs once at the earliest deadline asked for", async () => {
	const ran: number[] = [];
	const began = performance.now();
	schedule = new Schedule((now) => {
		ran.push(now - began);
		return ran.length === 1 ? now + 30 : NEVER;
	});
	schedule.wake();
	await new Promise((resolve) => setTimeout(resolve, 120));
	expect(ran).toHaveLength(2);
	expect(ran[1]).toBeGreaterThanOrEqual((ran[0] ?? 0) + 29);
});

test("nothing runs after close", async () => {
	let runs = 0;
	schedule = new Schedule((now) => {
		runs += 1;
		return now;
	});
	schedule.wake();
	schedule.close();
	await turn();
	expect(runs).toBe(0);
});
