import { expect, it } from "vitest";
import { Timeline } from "../../../worker/media/timeline.ts";

it("counts the events of a span and finds its longest silence", () => {
	const timeline = new Timeline();
	for (const time of [10, 20, 50, 60]) timeline.add(time);
	expect(timeline.between(15, 55)).toEqual([20, 50]);
	expect(timeline.longestGap(15, 55)).toBe(30);
	expect(timeline.longestGap(0, 100)).toBe(40);
	expect(timeline.longestGap(70, 100)).toBe(30);
});

it("forgets the oldest events but not how many there were", () => {
	const timeline = new Timeline();
	for (let time = 0; time < 1000; time++) timeline.add(time);
	expect(timeline.count).toBe(1000);
	expect(timeline.between(0, 2000)).toHaveLength(900);
	expect(timeline.between(0, 2000)[0]).toBe(100);
});
