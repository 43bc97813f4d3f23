import { expect, test } from "vitest";
import { Backlog } from "../../../src/read/backlog.ts";

const gap = (from: number) => ({ from, to: from, reason: "late" as const });

/** Takes everything in the order of sequences. */
function drain(backlog: Backlog): number[] {
	const seen: number[] = [];
	for (let item = backlog.lowest; item; item = backlog.lowest) {
		seen.push("from" in item ? item.from : -1);
		backlog.pass(item);
	}
	return seen;
}

test("what another publisher sends comes behind all of the one before it, and is counted anew", () => {
	const told: string[] = [];
	const backlog = new Backlog(() => undefined);
	for (const sequence of [8, 7]) backlog.push(gap(sequence));
	backlog.restart(() => told.push("restart"));
	for (const sequence of [1, 0]) backlog.push(gap(sequence));
	expect(told).toEqual([]);
	expect(backlog.length).toBe(4);
	expect(drain(backlog)).toEqual([7, 8, 0, 1]);
	expect(told).toEqual(["restart"]);
});

test("a restart is told at once when nothing is left", () => {
	const told: string[] = [];
	const backlog = new Backlog(() => undefined);
	backlog.push(gap(5));
	drain(backlog);
	backlog.restart(() => told.push("restart"));
	expect(told).toEqual(["restart"]);
	backlog.push(gap(0));
	expect(drain(backlog)).toEqual([0]);
});
