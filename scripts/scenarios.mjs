// Runs the tests that docs/conformance.md names, and holds each id of that list against them.
//
//   node scripts/scenarios.mjs [ID ...]      ids or beginnings of ids (FETCH, KIO-1); default: all
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "./build.mjs";
import { listTests } from "./libtest.mjs";
import { main, start } from "./process.mjs";
import { setup } from "./setup.mjs";
import { find, out, root } from "./tools.mjs";

/** The crates by the folder that a test's name begins with. */
const crates = {
	kio: { package: "kio@0.1.0", portable: true },
	"moq-net": { package: "moq-net", portable: true },
	bindings: { package: "moq-worker-core" },
	fuzz: { package: "moq-worker-fuzz" },
	relay: { package: "moq-worker-relay" },
	// Thousands of virtual seconds: without optimisation some of its tests stay out.
	sim: { package: "moq-worker-sim", release: true },
};

/** `SRC-S01 … SRC-S12` stands for twelve ids. */
function expand(cell) {
	const range = /^(.*?)(\d+) … \1(\d+)$/.exec(cell);
	if (!range) return [cell];
	const [, prefix, from, to] = range;
	const count = Number(to) - Number(from) + 1;
	return Array.from({ length: count }, (_, index) => prefix + String(Number(from) + index).padStart(from.length, "0"));
}

/** The rows of the list: `{id, text, tests, state}`. */
function rows(markdown) {
	const all = [];
	for (const line of markdown.split("\n")) {
		const cells = /^\| ([A-Z][^|]*) \| ([^|]+) \|([^|]*)\| ([^|]+) \|$/.exec(line);
		if (!cells) continue;
		const [, ids, text, tests, state] = cells;
		if (!/^(proved|open|planned: .+)$/.test(state)) throw new Error(`${ids} has the unknown state "${state}"`);
		const named = tests.split("<br>").map((test) => test.trim());
		for (const id of expand(ids)) all.push({ id, text, tests: named.filter(Boolean), state });
	}
	const twice = all.find(({ id }, index) => all.findIndex((other) => other.id === id) !== index);
	if (twice) throw new Error(`${twice.id} is listed twice`);
	return all;
}

/** Where the tests of one crate's files run and how they end: a map from `folder/file::name` to "ok" or another word. */
async function runRust(files, results) {
	for (const [folder, { package: name, portable, release }] of Object.entries(crates)) {
		const mine = [...files].filter((file) => file.startsWith(`${folder}/`));
		if (mine.length === 0) continue;
		await listTests({ folder, name, files: mine, results, release });
		if (!portable) continue;
		const runner = join(await find("wasm-bindgen"), "../wasm-bindgen-test-runner");
		await listTests({ folder, name, files: mine, results, runner, prefix: "wasm32:" });
	}
}

/** The vitest projects, by where their tests lie. */
async function runVitest(files, results) {
	for (const project of ["node", "browser"]) {
		const mine = [...files].filter((file) => file.startsWith(`test/${project}/`));
		if (mine.length === 0) continue;
		const report = join(out, `scenarios-${project}.json`);
		mkdirSync(out, { recursive: true });
		rmSync(report, { force: true });
		const program = join(root, "node_modules/vitest/vitest.mjs");
		const args = ["run", "--project", project, "--reporter=json", `--outputFile.json=${report}`, ...mine];
		const child = start(process.execPath, [program, ...args], { cwd: root, log: console.error });
		await child.ended;
		for (const { name, assertionResults } of JSON.parse(readFileSync(report, "utf8")).testResults) {
			const file = name.slice(root.length);
			for (const { title, status } of assertionResults) {
				// One title may stand for several runs (each version): all of them count.
				for (const key of [`${file} › ${title}`, `${file} › *`]) {
					if (results.get(key) === undefined || status !== "passed")
						results.set(key, status === "passed" ? "ok" : status);
				}
			}
		}
	}
}

/** How a test ended, on every target it has: `{ok, text}`. */
function outcome(test, results) {
	const native = results.get(test) ?? "there is no such test";
	const portable = results.get(`wasm32:${test}`);
	const ok = native === "ok" && (portable === undefined || portable === "ok");
	return { ok, text: portable === undefined ? native : `${native}, wasm32 ${portable}` };
}

main(async () => {
	const wanted = process.argv.slice(2);
	const every = rows(readFileSync(join(root, "docs/conformance.md"), "utf8"));
	const listed = wanted.length === 0 ? every : every.filter(({ id }) => wanted.some((one) => id.startsWith(one)));
	if (listed.length === 0) throw new Error("no id of docs/conformance.md begins like that");
	const tests = listed.flatMap(({ tests }) => tests).map((test) => test.replace(/^wasm32:/, ""));
	const rust = new Set(tests.filter((test) => test.includes(".rs::")).map((test) => test.split("::")[0]));
	const typescript = new Set(tests.filter((test) => test.includes(" › ")).map((test) => test.split(" › ")[0]));
	const stray = tests.find((test) => !test.includes(".rs::") && !test.includes(" › "));
	if (stray) throw new Error(`"${stray}" names no test`);

	const browser = [...typescript].some((file) => file.startsWith("test/browser/"));
	await setup("rust", "npm", "wasm", ...(browser ? ["chromium"] : []));
	const results = new Map();
	await runRust(rust, results);
	if (typescript.size > 0) {
		await build();
		await runVitest(typescript, results);
	}

	const counts = { proved: 0, failed: 0, planned: 0 };
	for (const { id, text, tests, state } of listed) {
		const outcomes = tests.map((test) => ({ test, ...outcome(test, results) }));
		const bad = outcomes.some(({ ok }) => !ok);
		// A planned id without tests is no failure; one whose tests fail is.
		const verdict = bad
			? "failed"
			: state.startsWith("planned")
				? "planned"
				: state === "proved" && tests.length > 0
					? "proved"
					: "failed";
		counts[verdict]++;
		console.log(
			`${id}  ${verdict === "failed" && !bad ? "no proof" : verdict}  ${text}${verdict === "planned" ? ` (${state.slice(9)})` : ""}`,
		);
		for (const { test, text } of outcomes) console.log(`    ${test}  ${text}`);
	}
	console.log(`scenarios: ${counts.proved} proved, ${counts.failed} without proof, ${counts.planned} planned`);
	return counts.failed === 0 ? 0 : 1;
});
