import { expect, test } from "vitest";
import { Credit } from "../../../src/read/credit.ts";
import { READ_FRAMES_MAX } from "../../../worker/protocol/limits.ts";

/** A worker that sends whatever it may, and a clock in the test's hands. */
function reader(frames: number) {
	let now = 0;
	let open = frames;
	let grants = 0;
	const credit = new Credit(
		{ frames, bytes: 1e9 },
		(more) => {
			open += more;
			grants++;
		},
		() => now,
	);
	return {
		/** Frames that may be on their way or unread. */
		get window() {
			return open;
		},
		get grants() {
			return grants;
		},
		/** Reads that many frames, one each `ms`. */
		read(count: number, ms: number) {
			for (let n = 0; n < count; n++) {
				now += ms;
				open--;
				credit.used(1, 10);
				credit.read(1, 10);
			}
		},
		stall(ms: number) {
			now += ms;
		},
		credit,
	};
}

test("a reader of many small frames gets a larger window, up to a limit, and fewer grants", () => {
	const page = reader(64);
	page.read(40_000, 0.05);
	expect(page.window).toBeGreaterThan(READ_FRAMES_MAX / 4);
	expect(page.window).toBeLessThanOrEqual(READ_FRAMES_MAX);
	// A window that stays at 64 takes 1250.
	expect(page.grants).toBeLessThan(60);
});

test("a reader of thirty frames a second keeps the window it began with", () => {
	const page = reader(64);
	page.read(3000, 33);
	expect(page.window).toBeLessThanOrEqual(64);
	expect(page.window).toBeGreaterThan(0);
});

test("a window that grew shrinks again when the track slows down", () => {
	const page = reader(64);
	page.read(40_000, 0.05);
	page.read(20_000, 33);
	expect(page.window).toBeLessThanOrEqual(64);
	expect(page.window).toBeGreaterThan(0);
	expect(page.credit.isExhausted).toBe(false);
});

test("a stall does not leave the reader without credit", () => {
	const page = reader(64);
	for (let round = 0; round < 50; round++) {
		page.read(500, 0.05);
		page.stall(1000);
	}
	expect(page.window).toBeGreaterThan(0);
	expect(page.credit.isExhausted).toBe(false);
});
