import { expect, test } from "vitest";
import { Schedule } from "../../worker/core/schedule.ts";

// In a browser, because Node hands out up to a thousand messages of one port before anything else gets a turn.
test("a poll that wakes itself through microtasks does not starve timers and messages", async () => {
	let runs = 0;
	const schedule = new Schedule(() => {
		runs += 1;
		// What a stream does that always has another chunk.
		void Promise.resolve().then(() => schedule.wake());
		return Number.POSITIVE_INFINITY;
	});
	schedule.wake();
	const began = performance.now();
	for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
	schedule.close();
	expect(runs).toBeGreaterThan(10);
	expect(performance.now() - began).toBeLessThan(500);
});
