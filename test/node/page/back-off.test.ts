import { expect, test } from "vitest";
import { backOff, isFinal, mayTry } from "../../../worker/host/connection/back-off.ts";

const policy = { initialMs: 1_000, factor: 2, jitter: 0.5, maxMs: 30_000, resetAfterMs: 10_000 };

test.each([
	[1, 0, 1_000],
	[1, 1, 500],
	[2, 0, 2_000],
	[5, 0, 16_000],
	[6, 0, 30_000],
	[6, 1, 15_000],
	[2_000, 0, 30_000],
])("before dial %i with chance %d there are %i ms", (attempt, random, ms) => {
	expect(backOff(policy, attempt, random)).toBe(ms);
});

test("the policy may end with a number of dials, or with a time", () => {
	expect(mayTry(policy, 1_000, 1e9)).toBe(true);
	expect(mayTry({ ...policy, maxAttempts: 3 }, 3, 0)).toBe(true);
	expect(mayTry({ ...policy, maxAttempts: 3 }, 4, 0)).toBe(false);
	expect(mayTry({ ...policy, giveUpMs: 60_000 }, 9, 59_999)).toBe(true);
	expect(mayTry({ ...policy, giveUpMs: 60_000 }, 9, 60_000)).toBe(false);
});

test.each([
	["transport", false],
	["timeout", false],
	["going-away", false],
	["internal", false],
	["unauthorized", true],
	["version", true],
	["app", true],
	["worker-crashed", true],
] as const)("after %s another dial is of no use: %s", (kind, expected) => {
	expect(isFinal({ kind, message: "" }, false)).toBe(expected);
});

test("a token that ran out is replaced where there is a function for it", () => {
	expect(isFinal({ kind: "unauthorized", message: "" }, true)).toBe(false);
});

test("a relay that has just begun to start is dialled again", () => {
	expect(isFinal({ kind: "transport", message: "no answer either", retryable: false }, false)).toBe(false);
});
