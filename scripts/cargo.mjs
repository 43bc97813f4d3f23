// The Rust tests, as other scripts run and count them.
import { start } from "./process.mjs";
import { environment, wasm } from "./tools.mjs";

/**
 * Runs `cargo test` and counts: `{passed, failed}`. A test that makes no progress for a minute is a lost wake-up: it is
 * killed, and fails.
 */
export async function cargoTest(args, { env = {}, command = ["test"], cwd = wasm } = {}) {
	const counts = { passed: 0, failed: 0, hung: 0 };
	let child;
	const line = (text) => {
		const result = /^test result: \w+\. (\d+) passed; (\d+) failed/.exec(text);
		if (result) {
			counts.passed += Number(result[1]);
			counts.failed += Number(result[2]);
		}
		if (/has been running for over 60 seconds/.test(text)) {
			counts.hung++;
			child.stop();
		}
		if (text && !/^test .* ok$|^running \d+ test|^test result: ok/.test(text)) console.log(text);
	};
	// --workspace and explicit packages alike go on after a failing crate, so that the count is whole.
	child = start("cargo", [...command, "--locked", "--no-fail-fast", ...args], {
		cwd,
		env: { ...(await environment()), ...env },
		line,
		log: line,
	});
	const { code } = await child.ended;
	// A crash or a compile error counts as well: it has no line of its own in the results.
	if (code !== 0 && counts.failed === 0) counts.failed = Math.max(1, counts.hung);
	return counts;
}
