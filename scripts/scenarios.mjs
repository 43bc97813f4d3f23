// Holds each id of docs/conformance.md against the tests it names.
//
//   node scripts/scenarios.mjs [ID ...]      runs them; ids or beginnings of ids (FETCH, KIO-1); default: all
//   node scripts/scenarios.mjs --recorded    runs nothing: judges by what the last whole `npm test` saw
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "./build.mjs";
import { fileOf, floods, runTests, targetsOf } from "./libtest.mjs";
import { main } from "./process.mjs";
import { setup } from "./setup.mjs";
import { fingerprints } from "./sim.mjs";
import { out, root } from "./tools.mjs";
import { projects, reportOf, vitest } from "./vitest.mjs";

/** The crates by the folder that a test's name begins with. */
const crates = {
	kio: { package: "kio@0.1.0", portable: true },
	"moq-net": { package: "moq-net", portable: true },
	bindings: { package: "moq-worker-core" },
	fuzz: { package: "moq-worker-fuzz" },
	// What of this file is left out without optimisation.
	relay: { package: "moq-worker-relay", optimised: floods },
	// Thousands of virtual seconds: without optimisation some of its tests stay out.
	sim: {
		package: "moq-worker-sim",
		profile: ["--release"],
		// A seed is the same run there: what to compare with is built in.
		elsewhere: { file: "tests/determinism.rs", env: fingerprints },
	},
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

/** Runs the Rust tests of these files, and maybe others beside them; gives their ends. */
async function runRust(files) {
	const ends = [];
	for (const [folder, { package: name, portable, elsewhere, optimised, profile = [] }] of Object.entries(crates)) {
		const mine = inside(folder, files);
		if (mine.length === 0) continue;
		const args = ["-p", name, ...profile, ...targetsOf(mine)];
		for (const onWasm of portable ? [false, true] : [false]) ends.push(...(await runTests(args, { onWasm })).ends);
		if (mine.includes(optimised?.file)) ends.push(...(await optimised.run()).ends);
		if (!mine.includes(elsewhere?.file)) continue;
		const there = ["-p", name, ...targetsOf([elsewhere.file])];
		ends.push(...(await runTests(there, { onWasm: true, env: await elsewhere.env() })).ends);
	}
	return ends;
}

/** Of some files those in a crate, as the crate sees them. */
const inside = (folder, files) =>
	files.filter((file) => file.startsWith(`${folder}/`)).map((file) => file.slice(folder.length + 1));

/** Enters the end of every test that one of these files holds, as `file::name`, and of runs elsewhere as `wasm32:file::name`. */
function noteRust(ends, files, results) {
	for (const { place, folder, source, test, end } of ends) {
		const file = fileOf({ source, test }, inside(folder, files));
		// One that was left out here runs elsewhere, optimised.
		if (!file || end === "ignored") continue;
		const key = `${place === "wasm32" ? "wasm32:" : ""}${folder}/${file}::${test.split("::").at(-1)}`;
		// A test that ran twice has to pass twice.
		if (results.get(key) === undefined || end !== "ok") results.set(key, end);
	}
}

/** Runs the vitest files and gives the paths of the reports. */
async function runVitest(files) {
	const reports = [];
	for (const project of projects) {
		const mine = files.filter((file) => file.startsWith(`test/${project}/`));
		if (mine.length === 0) continue;
		await vitest(project, { files: mine, kind: "scenarios" });
		reports.push(reportOf(project, "scenarios"));
	}
	return reports;
}

/** Enters the ends in the reports of vitest, as `file › title`, and as `file › *` for all of a file together. */
function noteVitest(reports, results) {
	for (const { name, assertionResults } of reports.flatMap((report) => JSON.parse(readFileSync(report)).testResults)) {
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

/** What the last `npm test` left: the ends of the Rust tests, and the reports of vitest. */
function lastRun() {
	const rust = join(out, "rust-tests.json");
	if (!existsSync(rust)) throw new Error("nothing is recorded: run `npm test` first");
	const reports = projects.map((project) => reportOf(project)).filter(existsSync);
	return { ends: JSON.parse(readFileSync(rust)), reports };
}

/** How a test ended, on every target it has: `{ok, text}`. */
function outcome(test, results) {
	const native = results.get(test) ?? "did not run";
	const portable = results.get(`wasm32:${test}`);
	const ok = native === "ok" && (portable === undefined || portable === "ok");
	return { ok, text: portable === undefined ? native : `${native}, wasm32 ${portable}` };
}

main(async () => {
	const recorded = process.argv.includes("--recorded");
	const wanted = process.argv.slice(2).filter((arg) => arg !== "--recorded");
	const every = rows(readFileSync(join(root, "docs/conformance.md"), "utf8"));
	const listed = wanted.length === 0 ? every : every.filter(({ id }) => wanted.some((one) => id.startsWith(one)));
	if (listed.length === 0) throw new Error("no id of docs/conformance.md begins like that");
	const tests = listed.flatMap(({ tests }) => tests).map((test) => test.replace(/^wasm32:/, ""));
	const filesOf = (pattern) => [...new Set(tests.flatMap((test) => pattern.exec(test)?.[1] ?? []))];
	const rust = filesOf(/^(.+\.rs)::/);
	const typescript = filesOf(/^(.+\.ts) › /);
	const stray = tests.find((test) => !test.includes(".rs::") && !test.includes(" › "));
	if (stray) throw new Error(`"${stray}" names no test`);

	const results = new Map();
	if (recorded) {
		const { ends, reports } = lastRun();
		noteRust(ends, rust, results);
		noteVitest(reports, results);
	} else {
		const browser = typescript.some((file) => file.startsWith("test/browser/"));
		await setup("rust", "npm", "wasm", ...(browser ? ["chromium"] : []));
		noteRust(await runRust(rust), rust, results);
		if (typescript.length > 0) {
			await build();
			noteVitest(await runVitest(typescript), results);
		}
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
