// The core in a simulated world: many seeds, each a network, a workload and faults of its own, judged by an oracle.
//
//   node scripts/sim.mjs [--seeds N] [--seed FIRST] [--jobs J] [--hashes] [--log]      default: one seed
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { main, run, start } from "./process.mjs";
import { setup } from "./setup.mjs";
import { environment, wasm } from "./tools.mjs";

/**
 * Builds the simulator, optimised, and runs it; `line` sees what it prints. Resolves to its exit code.
 */
export async function simulate(args, line = console.log) {
	const env = await environment();
	const build = ["build", "--locked", "--release", "-p", "moq-worker-sim"];
	await run("cargo", build, { cwd: wasm, env });
	const program = join(process.env.CARGO_TARGET_DIR ?? join(wasm, "target"), "release/moq-worker-sim");
	const child = start(program, args, { cwd: wasm, line, log: line });
	const { code } = await child.ended;
	return code;
}

/**
 * Fingerprints of the first seeds, as the tests of the simulator for another target take them: `MOQ_SIM_HASHES`.
 */
export async function fingerprints(seeds = 8) {
	const found = [];
	const code = await simulate(["--seeds", String(seeds), "--hashes"], (text) => {
		if (/^\d+:[0-9a-f]{16}$/.test(text)) found.push(text);
	});
	if (code !== 0 || found.length !== seeds) throw new Error(`${found.length} of ${seeds} seeds left a fingerprint`);
	return { MOQ_SIM_HASHES: found.join(",") };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	main(async () => {
		await setup("rust");
		return simulate(process.argv.slice(2));
	});
}
