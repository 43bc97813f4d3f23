// Rust test programs, run one by one: which test of which file ended how.
import { join, relative } from "node:path";
import { start } from "./process.mjs";
import { environment, find, wasm } from "./tools.mjs";

/** Longest a test program may take. One that hangs has lost a wake-up. */
const LIMIT_MS = 300_000;

/**
 * Builds what `cargo test ...args` would run, and runs it. Resolves to `{passed, failed, ends}`, where `ends` has
 * `{place, folder, source, test, end}` for each test: the folder of its crate, the source file its program begins in, and
 * "ok" or another word. `place` is "native", or "wasm32" if `onWasm`. The programs themselves are given `options`.
 */
export async function runTests(args, { onWasm = false, env = {}, options = [] } = {}) {
	const place = onWasm ? "wasm32" : "native";
	const target = onWasm ? ["--target", "wasm32-unknown-unknown"] : [];
	const runner = onWasm ? [join(await find("wasm-bindgen"), "../wasm-bindgen-test-runner")] : [];
	const all = { ...(await environment()), WASM_BINDGEN_TEST_ONLY_NODE: "1", ...env };
	const counts = { passed: 0, failed: 0, ends: [] };
	const programs = await compile([...target, ...args], all);
	if (programs === undefined) return { ...counts, failed: 1 };
	for (const { executable, folder, source } of programs) {
		const [command, ...rest] = [...runner, executable];
		const failed = await runOne(command, [...rest, ...options], join(wasm, folder), all, (test, end) => {
			if (end === "ok") counts.passed++;
			counts.ends.push({ place, folder, source, test, end });
		});
		counts.failed += failed;
	}
	return counts;
}

/**
 * The floods of the relay whose bound is in milliseconds: what it promises only holds optimised, and for one at a time. Without
 * optimisation the same program leaves them out.
 */
export const floods = {
	file: "tests/floods/main.rs",
	run() {
		const args = ["--profile", "floods", "-p", "moq-worker-relay", "--test", "floods"];
		return runTests(args, { options: ["unnoticed::", "--test-threads=1"] });
	},
};

/** The test programs, or undefined if they do not compile, which cargo has said then. */
async function compile(args, env) {
	const programs = [];
	const command = ["test", "--locked", "--no-run", "--message-format=json-render-diagnostics", ...args];
	const line = (text) => {
		const { executable, profile, target } = text.startsWith("{") ? JSON.parse(text) : {};
		// A program that tests start is no test program.
		if (!executable || !profile.test) return;
		const [folder, ...source] = relative(wasm, target.src_path).split("/");
		programs.push({ executable, folder, source: source.join("/") });
	};
	const { code } = await start("cargo", command, { cwd: wasm, env, line, log: console.log }).ended;
	return code === 0 ? programs : undefined;
}

/** Runs one program; gives the number of failures, which is not 0 if it crashed. */
async function runOne(command, args, cwd, env, note) {
	let failed = 0;
	let child;
	const line = (text) => {
		const end = /^test (\S+)(?: - should panic)? \.\.\. (\w+)/.exec(text);
		if (end) {
			if (end[2] === "FAILED" || end[2] === "FAIL") failed++;
			note(end[1], end[2]);
		}
		if (/has been running for over 60 seconds/.test(text)) child.stop();
		if (text && !/^test .* \.\.\. ok$|^running \d+ test|^test result: ok/.test(text)) console.log(text);
	};
	child = start(command, args, { cwd, env, line, log: line });
	const timer = setTimeout(() => child.stop(), LIMIT_MS);
	const { code } = await child.ended.finally(() => clearTimeout(timer));
	return code !== 0 && failed === 0 ? 1 : failed;
}

/** `src/lite/fetch.rs` holds the module `lite::fetch`; a tests file of its own may be `src/coding/tests.rs`. */
function moduleOf(file) {
	const parts = file.replace(/\.rs$/, "").split("/").slice(1);
	return parts.filter((part) => !["lib", "mod", "main"].includes(part)).join("::");
}

/** What to tell cargo to build the programs that hold these files of a crate, and no others. */
export function targetsOf(files) {
	const names = files
		.filter((file) => file.startsWith("tests/"))
		// A program of several files begins in `tests/auth/main.rs`.
		.map((file) => file.split("/")[1].replace(/\.rs$/, ""));
	const targets = [...new Set(names)].flatMap((name) => ["--test", name]);
	return files.some((file) => file.startsWith("src/")) ? ["--lib", ...targets] : targets;
}

/** The file a test lies in, of those that are asked for, if it does. */
export function fileOf({ source, test }, files) {
	if (source.startsWith("tests/")) return files.find((file) => file === source);
	const path = test.split("::").slice(0, -1).join("::");
	return files.find((file) => {
		const module = moduleOf(file);
		return path === module || path === `${module}::tests` || (module === "" && path === "tests");
	});
}
