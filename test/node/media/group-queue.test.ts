import { describe, expect, it } from "vitest";
import type { Sample } from "../../../worker/media/container.ts";
import { GroupQueue } from "../../../worker/media/group-queue.ts";

const BUDGET_MS = 500;
const at = (...ms: number[]): Sample[] => ms.map((time) => ({ timestampUs: time * 1000, data: new Uint8Array(1) }));

function drain(queue: GroupQueue): string[] {
	const taken: string[] = [];
	for (let next = queue.take(); next; next = queue.take())
		taken.push(`${next.sequence}:${next.sample.timestampUs / 1000}${next.isFirst ? "*" : ""}`);
	return taken;
}

describe("group queue", () => {
	it("gives groups in sequence order however they arrive, and marks where a decoder may start", () => {
		const queue = new GroupQueue(BUDGET_MS);
		expect(queue.open(2, 8, 0)).toBe(true);
		queue.add(2, at(200, 233));
		expect(queue.open(1, 7, 0)).toBe(true);
		queue.add(1, at(100));
		expect(drain(queue)).toEqual(["7:100*"]);
		queue.add(1, at(133));
		queue.complete(1);
		expect(drain(queue)).toEqual(["7:133", "8:200*", "8:233"]);
	});

	it("keeps decode order inside a group when presentation times jump back", () => {
		const queue = new GroupQueue(BUDGET_MS);
		queue.open(1, 0, 0);
		queue.add(1, at(0, 133, 67, 33));
		expect(drain(queue)).toEqual(["0:0*", "0:133", "0:67", "0:33"]);
	});

	it("waits for the rest of a group within the budget and gives it up beyond", () => {
		const queue = new GroupQueue(BUDGET_MS);
		queue.open(1, 0, 0);
		queue.add(1, at(0));
		queue.open(2, 1, 0);
		queue.add(2, at(100, 500));
		expect(drain(queue)).toEqual(["0:0*"]);
		expect(queue.starving).toBe(1);
		expect(queue.skip()).toBeUndefined();
		queue.add(2, at(533));
		expect(queue.skip()).toEqual({ gid: 1, samples: 0, isComplete: false });
		expect(drain(queue)).toEqual(["1:100*", "1:500", "1:533"]);
	});

	it("drops what a slow decoder has not taken when it is too far behind, up to a newer keyframe only", () => {
		const queue = new GroupQueue(BUDGET_MS);
		queue.open(1, 0, 0);
		queue.add(1, at(0, 400, 900));
		expect(queue.skip()).toBeUndefined();
		queue.complete(1);
		queue.open(2, 1, 0);
		queue.add(2, at(1000));
		expect(queue.skip()).toEqual({ gid: 1, samples: 3, isComplete: true });
		expect(queue.skip()).toBeUndefined();
		expect(drain(queue)).toEqual(["1:1000*"]);
	});

	it("refuses old groups, repeated groups and groups whose start is missing", () => {
		const queue = new GroupQueue(BUDGET_MS);
		queue.open(1, 5, 0);
		queue.add(1, at(0));
		queue.complete(1);
		expect(queue.open(2, 5, 0)).toBe(false);
		expect(queue.open(3, 6, 2)).toBe(false);
		expect(drain(queue)).toEqual(["5:0*"]);
		for (const old of [4, 5]) expect(queue.open(10 + old, old, 0)).toBe(false);
		queue.open(20, 9, 0);
		queue.add(20, at(50));
		expect(drain(queue)).toEqual(["9:50*"]);
		expect(queue.open(21, 7, 0)).toBe(false);
		expect(queue.add(21, at(60))).toBe(false);
		expect(queue.open(22, 10, 0)).toBe(true);
	});

	it("moves on at once when the publisher's clock went back", () => {
		const queue = new GroupQueue(BUDGET_MS);
		queue.open(1, 0, 0);
		queue.add(1, at(60_000));
		expect(drain(queue)).toEqual(["0:60000*"]);
		queue.open(2, 1, 0);
		queue.add(2, at(0));
		expect(queue.skip()).toEqual({ gid: 1, samples: 0, isComplete: false });
		expect(drain(queue)).toEqual(["1:0*"]);
	});

	it("does not wait for ever for a group that opened and never brought a frame", () => {
		const queue = new GroupQueue(BUDGET_MS);
		queue.open(1, 0, 0);
		queue.open(2, 1, 0);
		queue.add(2, at(0, 400));
		expect(queue.skip()).toBeUndefined();
		queue.add(2, at(600));
		expect(queue.skip()?.gid).toBe(1);
	});
});
