// Looks for bytes that break us: libFuzzer, on the stable compiler, over the targets of wasm/fuzz.
//
//   node scripts/fuzz.mjs [--seconds N] [--target T ...] [--ci] [--keep]
//
// --seconds  how long each target runs (default 60)
// --target   one target; may be repeated; default: all
// --ci       a short run of each (15 s for parsers, 20 s for the others) that also fails when it did too little
// --keep     brings wasm/fuzz/corpus up to what the run reached, in as few inputs as that takes
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ask, main, run, start } from "./process.mjs";
import { setup } from "./setup.mjs";
import { environment, out, root, wasm } from "./tools.mjs";

const say = (text) => console.log(`fuzz: ${text}`);

/** The targets, in the order they run: those that only parse first. */
const stateless = ["varint", "lite_message", "setup", "path", "jwt", "http_target"];
const stateful = ["announce_stream", "session_server", "session_client", "origin_ops", "track_ops", "wasm_host_calls"];

/** What a short run must at least have tried. */
const least = (name) => (stateless.includes(name) ? 500_000 : 20_000);

/** What `cargo fuzz` would pass: counters at every edge, and the operands of comparisons. Checks stay on. */
const flags = [
	"-Cpasses=sancov-module",
	"-Cllvm-args=-sanitizer-coverage-level=4",
	"-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
	"-Cllvm-args=-sanitizer-coverage-pc-table",
	"-Cllvm-args=-sanitizer-coverage-trace-compares",
	"-Cdebug-assertions",
	"-Coverflow-checks=yes",
	"-Ccodegen-units=1",
	"-Clto=off",
].join(" ");

/** Builds the fuzzer and gives its path. */
async function fuzzer() {
	const host = /^host: (.+)$/m.exec((await ask("rustc", ["-vV"], { cwd: wasm })) ?? "")?.[1];
	if (!host) throw new Error("rustc does not say what it compiles for");
	const args = ["build", "--locked", "--release", "-p", "moq-worker-fuzz", "--features", "libfuzzer", "--bin", "fuzz"];
	// With --target the flags reach our code and not the build scripts.
	const place = ["--target", host, "--target-dir", process.env.FUZZ_TARGET_DIR ?? "target/fuzz"];
	const env = { ...(await environment()), RUSTFLAGS: flags };
	const messages = await run("cargo", [...args, ...place, "--message-format=json"], { cwd: wasm, env, quiet: true });
	const built = messages
		.split("\n")
		.filter((line) => line.startsWith("{"))
		.map((line) => JSON.parse(line))
		.find(({ reason, executable }) => reason === "compiler-artifact" && executable);
	if (!built) throw new Error("cargo built no fuzzer");
	return built.executable;
}

const list = (kind, name) => join(root, "wasm/fuzz", kind, `${name}.txt`);

/** The inputs of a list: lines of hexadecimal digits, with remarks behind #. */
function inputs(kind, name) {
	if (!existsSync(list(kind, name))) return [];
	const lines = readFileSync(list(kind, name), "utf8").split("\n");
	return lines
		.map((line) => line.replace(/#.*/, "").replace(/\s/g, ""))
		.filter((hex) => hex !== "")
		.map((hex) => Buffer.from(hex, "hex"));
}

/** Runs one target and says what it did: `{executions, finding}`. */
async function fuzz(program, name, seconds, keep) {
	const home = join(out, "fuzz", name);
	const [corpus, seeds, found] = ["corpus", "seeds", "found"].map((part) => join(home, part));
	for (const folder of [seeds, found]) rmSync(folder, { recursive: true, force: true });
	for (const folder of [corpus, seeds, found]) mkdirSync(folder, { recursive: true });
	await run(program, [], { env: { FUZZ_TARGET: name, FUZZ_SEEDS: seeds }, quiet: true });
	for (const kind of ["corpus", "regressions"]) {
		for (const [index, input] of inputs(kind, name).entries()) writeFileSync(join(seeds, `${kind}-${index}`), input);
	}
	const env = { FUZZ_TARGET: name };
	const limits = ["-timeout=10", "-rss_limit_mb=2048", "-max_len=2048", `-artifact_prefix=${found}/`];
	const options = [`-max_total_time=${seconds}`, "-print_final_stats=1", "-verbosity=0", ...limits];
	let executions = 0;
	const last = [];
	const log = (line) => {
		const stat = /^stat::number_of_executed_units:\s+(\d+)/.exec(line);
		if (stat) executions = Number(stat[1]);
		last.push(line);
		if (last.length > 60) last.shift();
	};
	const child = start(program, [corpus, seeds, ...options], { env, log });
	// Its own clock stops it; one that wedges so that even this fails is a finding as well.
	const timer = setTimeout(() => child.stop(), (seconds + 60) * 1000);
	const { code } = await child.ended.finally(() => clearTimeout(timer));
	const artifacts = readdirSync(found);
	if (code !== 0 || artifacts.length > 0) {
		console.log(last.join("\n"));
		const input = artifacts[0] && readFileSync(join(found, artifacts[0])).toString("hex");
		if (input) say(`${name}: keep this line, with its cause, in wasm/fuzz/regressions/${name}.txt\n${input}`);
		return { executions, finding: true };
	}
	if (keep) await shrink(program, name, [corpus, seeds]);
	return { executions, finding: false };
}

/** Writes the fewest inputs that reach what these folders reach into the corpus of the repository. */
async function shrink(program, name, folders) {
	const merged = join(out, "fuzz", name, "merged");
	rmSync(merged, { recursive: true, force: true });
	mkdirSync(merged, { recursive: true });
	await run(program, ["-merge=1", "-max_len=2048", merged, ...folders], { env: { FUZZ_TARGET: name }, quiet: true });
	const lines = readdirSync(merged).map((file) => readFileSync(join(merged, file)).toString("hex"));
	writeFileSync(list("corpus", name), `${lines.sort().join("\n")}\n`);
	say(`${name}: ${lines.length} inputs kept`);
}

main(async () => {
	const { values } = parseArgs({
		options: {
			seconds: { type: "string" },
			target: { type: "string", multiple: true },
			ci: { type: "boolean", default: false },
			keep: { type: "boolean", default: false },
		},
	});
	const every = [...stateless, ...stateful];
	const names = values.target ?? every;
	const unknown = names.find((name) => !every.includes(name));
	if (unknown) throw new Error(`there is no target "${unknown}"; the targets are ${every.join(", ")}`);
	await setup("rust");
	const program = await fuzzer();
	const bad = [];
	let total = 0;
	for (const name of names) {
		const seconds = Number(values.seconds ?? (values.ci ? (stateless.includes(name) ? 15 : 20) : 60));
		const { executions, finding } = await fuzz(program, name, seconds, values.keep);
		total += executions;
		const short = values.ci && !finding && executions < least(name);
		if (finding || short) bad.push(name);
		const end = finding ? "FOUND SOMETHING" : short ? `too few, ${least(name)} are wanted` : "nothing found";
		say(`${name}: ${executions} executions in ${seconds} s, ${end}`);
	}
	say(`${names.length} targets, ${total} executions, ${bad.length === 0 ? "nothing found" : `see ${bad.join(", ")}`}`);
	return bad.length === 0 ? 0 : 1;
});
