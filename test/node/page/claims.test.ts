import { expect, test } from "vitest";
import { isOutside } from "../../../worker/host/connection/claims.ts";

const token = (claims: unknown) =>
	`e30.${btoa(JSON.stringify(claims)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}.c2ln`;
const address = (path: string, claims: unknown) => `https://relay.example/${path}?jwt=${token(claims)}`;

test.each([
	["demo", { root: "demo", get: [""] }, "room/bob", false, false],
	["demo", { root: "demo", get: ["room"] }, "room/bob", false, false],
	["demo", { root: "demo", get: "room" }, "room", false, false],
	["demo", { root: "demo", get: ["room"] }, "rooms", false, true],
	["demo", { root: "demo", get: ["room"] }, "", true, false],
	["demo", { root: "demo", get: ["room/bob"] }, "room", true, false],
	["demo", { root: "demo", get: ["room/bob"] }, "room", false, true],
	["demo", { root: "demo", get: ["room"] }, "lobby", true, true],
	["demo/room", { root: "demo", get: ["room"] }, "bob", false, false],
	["", { root: "demo", get: ["room"] }, "demo/room/bob", false, false],
	["demo", { root: "demo", put: ["me"] }, "me", false, true],
	["demo", { name: "another kind of token" }, "me", false, false],
	["demo", 7, "me", false, false],
] as const)("under /%s with %j, %s (prefix: %s) is outside: %s", (path, claims, asked, isPrefix, expected) => {
	expect(isOutside(address(path, claims), asked, isPrefix)).toBe(expected);
});

test("without a token, or with one that is no JWT, nothing is known", () => {
	expect(isOutside("https://relay.example/demo", "me", false)).toBe(false);
	expect(isOutside("https://relay.example/demo?jwt=opaque", "me", false)).toBe(false);
	expect(isOutside("https://relay.example/demo?jwt=a.%7B.b", "me", false)).toBe(false);
});
