import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { writeBetween } from "../../scripts/marks.mjs";
import { median, spread } from "../../scripts/statistics.mjs";
import { clientBound, pointTable, problems } from "../load/report.mjs";

const run = (figures: Record<string, number>, rest = {}) => ({
	unfinished: [] as string[],
	lostGroups: 0,
	lostFrames: 0,
	corrupt: 0,
	figures,
	...rest,
});

const scenario = {
	figures: [
		{ key: "rate", name: "rate", digits: 0, atLeast: 1 },
		{ key: "late", name: "late", digits: 1, atMost: 1.25 },
		{ key: "asked", name: "asked", digits: 0, exactly: 1000 },
	],
};

test("what is lost, damaged or unfinished is a problem, but not what the published relay loses", () => {
	const lossy = run({}, { lostGroups: 2, lostFrames: 3 });
	expect(problems("ours", lossy)).toHaveLength(1);
	expect(problems("published", lossy)).toHaveLength(0);
	for (const relay of ["ours", "published"]) {
		expect(problems(relay, run({}, { corrupt: 1 }))).toHaveLength(1);
		expect(problems(relay, run({}, { unfinished: ["a viewer saw no end"] }))).toEqual(["a viewer saw no end"]);
		expect(problems(relay, run({}))).toHaveLength(0);
	}
});

test("ratios are those of the medians, judged in the direction of the figure", () => {
	const ours = [90, 100, 400].map((rate) => run({ rate, late: 3, asked: 1000 }));
	const published = [200, 200, 200].map((rate) => run({ rate, late: 2, asked: 1004 }));
	const { text, met, total } = pointTable(scenario, { ours, published });
	expect(text).toMatch(/rate +\| +100 \(90–400\) \| +200 \(200–200\) \| +0\.50 \| ≥ 1\.00 +\| NOT met/);
	expect(text).toMatch(/late .* 1\.50 \| ≤ 1\.25 +\| NOT met/);
	expect(text).toMatch(/asked .* = 1000 +\| met/);
	// Nothing lost and nothing damaged are aims as well.
	expect([met, total]).toEqual([3, 5]);
});

test("a figure that a run does not have gives no ratio, and misses its aim", () => {
	const runs = { ours: [run({ rate: 1 })], published: [run({ rate: 1 })] };
	const { text, met, total } = pointTable(scenario, runs);
	expect(text).toMatch(/late +\| +– \| +– \|.* NOT met/);
	// The rate, and the two that nothing may be lost or damaged.
	expect([met, total]).toEqual([3, 5]);
});

test("a client without time to spare is named", () => {
	expect(clientBound(run({ clientShare: 0.89 }))).toBe(false);
	expect(clientBound(run({ clientShare: 0.1, "hot.clientShare": 0.91 }))).toBe(true);
	const { text } = pointTable(scenario, { ours: [run({ clientShare: 0.95 })], published: [run({})] });
	expect(text).toContain("In 1 of 2 runs the client");
});

test("only what is between the marks is replaced", () => {
	const path = join(mkdtempSync(join(tmpdir(), "marks-")), "file.md");
	writeFileSync(path, "before\n<!-- a:begin -->\nold\n<!-- a:end -->\nafter <!-- b:begin --><!-- b:end -->\n");
	writeBetween(path, "a", "new");
	writeBetween(path, "a", "newer");
	expect(readFileSync(path, "utf8")).toBe(
		"before\n<!-- a:begin -->\n\nnewer\n\n<!-- a:end -->\nafter <!-- b:begin --><!-- b:end -->\n",
	);
	expect(() => writeBetween(path, "c", "text")).toThrow("no marks");
});

test("a spread shows median, lowest and highest", () => {
	expect(median([3, 1, 2])).toBe(2);
	expect(median([4, 1, 2, 3])).toBe(2.5);
	expect(spread([3, 1, 2], 1)).toBe("2.0 (1.0–3.0)");
	expect(spread([1, null])).toBe("–");
});
