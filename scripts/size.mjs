// What a visitor downloads, compressed as a server would: fails over the budget.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "./build.mjs";
import { main } from "./process.mjs";
import { setup } from "./setup.mjs";
import { table } from "./table.mjs";
import { root } from "./tools.mjs";

/** Budgets in kB (1000 bytes) of gzip, level 9. Reading in order without loss took 6 kB of the core and 1.4 kB of the page. */
const budget = { wasm: 260, page: 24 };

/** A module and every module it imports, each once. */
function closure(entry, seen = new Set()) {
	if (seen.has(entry)) return seen;
	seen.add(entry);
	const text = readFileSync(join(root, "dist", entry), "utf8");
	for (const [, name] of text.matchAll(/(?:from|import)\s*["']\.\/([^"']+\.js)["']/g)) closure(name, seen);
	return seen;
}

const measure = (files) =>
	[...files].reduce(
		(sum, name) => {
			const bytes = readFileSync(join(root, "dist", name));
			return { raw: sum.raw + bytes.length, gzip: sum.gzip + gzipSync(bytes, { level: 9 }).length };
		},
		{ raw: 0, gzip: 0 },
	);

main(async () => {
	await setup("rust", "npm", "wasm");
	await build({ release: true });
	const parts = [
		["wasm", "core_bg.wasm", measure(["core_bg.wasm"]), budget.wasm],
		["page", "index.js", measure(closure("index.js")), budget.page],
		["page and media", "index.js, media.js", measure(closure("media.js", closure("index.js"))), undefined],
		["worker", "worker.js", measure(["worker.js"]), undefined],
	];
	const kB = (bytes) => (bytes / 1000).toFixed(1);
	const rows = parts.map(([part, files, { raw, gzip }, limit]) => [part, files, kB(raw), kB(gzip), limit ?? "–"]);
	console.log(`\n${table(["part", "files", "kB", "kB gzip", "limit"], rows)}\n`);
	const over = parts.filter(([, , { gzip }, limit]) => limit !== undefined && gzip > limit * 1000);
	for (const [part, , { gzip }, limit] of over)
		console.error(`size: ${part} is ${kB(gzip)} kB gzip, over its ${limit} kB`);
	console.log(`size: ${over.length === 0 ? "within the budget" : `${over.length} over the budget`}`);
	return over.length === 0 ? 0 : 1;
});
