import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as limits from "../../worker/protocol/limits.ts";

test("the page of limits lists every setting of page and worker and no other", () => {
	const page = readFileSync(new URL("../../docs/limits.md", import.meta.url), "utf8");
	const section = page.split("\n## ").find((part) => part.startsWith("Page and worker"));
	const listed = [...(section ?? "").matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1]);
	expect(new Set(listed)).toEqual(new Set(Object.keys(limits)));
});

test("page and core agree on what is kept of a group", () => {
	const page = readFileSync(new URL("../../docs/limits.md", import.meta.url), "utf8");
	const figure = (setting: string) => Number(new RegExp(`^\\| \`${setting}\` \\| (\\d+)`, "m").exec(page)?.[1]);
	expect(limits.MAX_GROUP).toEqual({ frames: figure("group_frames"), bytes: figure("group_bytes") });
});
