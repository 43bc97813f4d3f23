// The test programs of a crate, one by one: which test of which file ended how.
import { join, relative } from "node:path";
import { run, start } from "./process.mjs";
import { environment, wasm } from "./tools.mjs";

/**
 * `src/lite/fetch.rs` holds the module `lite::fetch`; a tests file of its own may be `src/coding/tests.rs`, and a test
 * program of several files begins in `tests/auth/main.rs`.
 */
function moduleOf(file) {
	const path = file.replace(/^src\//, "").replace(/\.rs$/, "");
	return path
		.split("/")
		.filter((part) => !["lib", "mod", "main"].includes(part))
		.join("::");
}

/** The file of a unit test, among those asked for: `lite::fetch::tests::name` lies in `src/lite/fetch.rs`. */
function fileOf(test, files) {
	const path = test.split("::").slice(0, -1).join("::");
	return files.find((file) => {
		const module = moduleOf(file);
		return path === module || path === `${module}::tests` || (module === "" && path === "tests");
	});
}

/**
 * Builds the test programs that hold the files `folder/tests/….rs` and `folder/src/….rs`, runs each, and notes the end of
 * every test in `results` as `prefix + file::name`.
 *
 * With `runner` the programs are built for wasm32 and run by it.
 */
export async function listTests({ folder, name, files, results, runner, release = false, prefix = "" }) {
	const inside = files.map((file) => relative(folder, file));
	const integration = inside.filter((file) => file.startsWith("tests/"));
	const units = inside.filter((file) => file.startsWith("src/"));
	const targets = integration.flatMap((file) => ["--test", moduleOf(file.replace(/^tests\//, "src/"))]);
	if (units.length > 0) targets.push("--lib");
	const target = runner ? ["--target", "wasm32-unknown-unknown"] : [];
	if (release) target.push("--release");
	const args = ["test", "--locked", "--no-run", "--message-format=json", "-p", name, ...target, ...targets];
	const messages = await run("cargo", args, { cwd: wasm, env: await environment(), quiet: true });
	const programs = messages
		.split("\n")
		.filter((line) => line.startsWith("{"))
		.map((line) => JSON.parse(line))
		.filter(({ reason, executable }) => reason === "compiler-artifact" && executable);
	for (const { executable, target } of programs) {
		const source = relative(join(wasm, folder), target.src_path);
		const note = (test, end) => {
			const file = source.startsWith("tests/") ? source : fileOf(test, units);
			if (file) results.set(`${prefix}${folder}/${file}::${test.split("::").at(-1)}`, end);
		};
		const line = (text) => {
			const end = /^test (\S+)(?: - should panic)? \.\.\. (\w+)/.exec(text);
			if (end) note(end[1], end[2]);
			else if (!/^$|^running \d+ test|^test result: ok/.test(text)) console.log(text);
		};
		const [command, ...rest] = runner ? [runner, executable] : [executable];
		const env = { ...(await environment()), WASM_BINDGEN_TEST_ONLY_NODE: "1" };
		const child = start(command, rest, { cwd: join(wasm, folder), env, line, log: line });
		// A program that hangs has lost a wake-up; what it printed so far counts, the rest is missing.
		const timer = setTimeout(() => child.stop(), 300_000);
		await child.ended.finally(() => clearTimeout(timer));
	}
}
