// Everything that needs no network and no published peer: the Rust tests natively and on wasm32, kio's interleavings (and miri),
// the core in a simulated world, the TypeScript tests in Node and in a real Chromium against the embedded relay.
//
//   node scripts/test.mjs [native|floods|wasm32|loom|miri|sim|node|browser ...]      default: all
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "./build.mjs";
import { cargoTest } from "./cargo.mjs";
import { floods, runTests } from "./libtest.mjs";
import { ask, main } from "./process.mjs";
import { setup } from "./setup.mjs";
import { fingerprints, simulate } from "./sim.mjs";
import { out, wasm } from "./tools.mjs";
import { projects, reportOf, vitest } from "./vitest.mjs";

/** How every Rust test of the last run ended: what `npm run scenarios -- --recorded` judges by. */
const recorded = join(out, "rust-tests.json");

const say = (text) => console.log(`test: ${text}`);

/** The counts of several runs as one, with the end of every test that has a name of its own. */
const sum = (...runs) => ({
	passed: runs.reduce((all, { passed }) => all + passed, 0),
	failed: runs.reduce((all, { failed }) => all + failed, 0),
	ends: runs.flatMap(({ ends = [] }) => ends),
});

/** The parts, each with the set-up it needs. `built` parts import the package itself. */
const parts = {
	native: { run: async () => sum(await runTests(["--workspace"]), await cargoTest(["--workspace", "--doc"])) },
	floods: { run: floods.run },
	wasm32: { run: () => runTests(["-p", "kio@0.1.0", "-p", "moq-net"], { onWasm: true }) },
	// Another configuration of every crate: a target folder of its own keeps the two from rebuilding each other.
	loom: {
		run() {
			const args = ["--release", "-p", "kio@0.1.0", "--lib", "--target-dir", "target/loom", "loom"];
			return cargoTest(args, { env: { RUSTFLAGS: "--cfg loom" } });
		},
	},
	// Undefined behaviour and leaks in kio, where a nightly toolchain with miri happens to be.
	miri: {
		here: async () => (await ask("cargo", ["+nightly", "miri", "--version"], { cwd: wasm })) !== undefined,
		missing: "rustup toolchain install nightly --component miri",
		run() {
			const env = { MIRIFLAGS: "-Zmiri-strict-provenance" };
			const args = ["-p", "kio@0.1.0", "--target-dir", "target/miri"];
			return cargoTest(args, { env, command: ["+nightly", "miri", "test"] });
		},
	},
	// Optimised: two thousand runs of a minute each. Then the same few seeds here and on wasm32, event by event.
	sim: {
		async run() {
			const seeds = { passed: 0, failed: 0 };
			const code = await simulate(["--seeds", "2000"], (text) => {
				const result = /^sim: (\d+) passed, (\d+) failed/.exec(text);
				if (result) [seeds.passed, seeds.failed] = result.slice(1).map(Number);
				console.log(text);
			});
			if (code !== 0 && seeds.failed === 0) seeds.failed = 1;
			const own = await runTests(["--release", "-p", "moq-worker-sim"]);
			const env = await fingerprints();
			const elsewhere = await runTests(["-p", "moq-worker-sim", "--test", "determinism"], { onWasm: true, env });
			if (elsewhere.passed === 0) elsewhere.failed = Math.max(1, elsewhere.failed);
			return sum(seeds, own, elsewhere);
		},
	},
	node: { built: true, run: () => vitest("node") },
	browser: { built: true, run: () => vitest("browser") },
};

main(async () => {
	const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(parts);
	const unknown = names.find((name) => !parts[name]);
	if (unknown) throw new Error(`there is no part "${unknown}"; the parts are ${Object.keys(parts).join(", ")}`);
	await setup("rust", "npm", "wasm", ...(names.includes("browser") ? ["chromium"] : []));
	if (names.some((name) => parts[name].built)) await build();
	const total = { passed: 0, failed: 0 };
	const lines = [];
	const record = [];
	mkdirSync(out, { recursive: true });
	// What an earlier run saw must not speak for this one.
	for (const old of [recorded, ...projects.map((project) => reportOf(project))]) rmSync(old, { force: true });
	for (const name of names) {
		const { here, missing } = parts[name];
		if (here && !(await here())) {
			lines.push(`${name}: not on this machine, left out (to have it: ${missing})`);
			continue;
		}
		say(name);
		const began = performance.now();
		const { passed, failed, ends = [] } = await parts[name].run();
		record.push(...ends);
		// A part in which nothing ran proves nothing.
		const wrong = failed + (passed === 0 ? 1 : 0);
		total.passed += passed;
		total.failed += wrong;
		const seconds = Math.round((performance.now() - began) / 1000);
		lines.push(`${name}: ${passed} passed, ${failed} failed${passed === 0 ? " (nothing ran)" : ""} in ${seconds} s`);
	}
	writeFileSync(recorded, JSON.stringify(record));
	console.log("");
	for (const line of lines) say(line);
	console.log(`test: ${total.passed} passed, ${total.failed} failed`);
	return total.failed === 0 ? 0 : 1;
});
