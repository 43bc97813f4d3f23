import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as limits from "../../worker/protocol/limits.ts";

test("the page of limits lists every setting of page and worker and no other", () => {
	const page = readFileSync(new URL("../../docs/limits.md", import.meta.url), "utf8");
	const section = page.split("\n## ").find((part) => part.startsWith("Page and worker"));
	const listed = [...(section ?? "").matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1]);
	expect(new Set(listed)).toEqual(new Set(Object.keys(limits)));
});
