// Looks for bytes that break us: libFuzzer, on the stable compiler, over the targets of wasm/fuzz.
//
//   node scripts/fuzz.mjs [--seconds N] [--target T ...] [--seed N] [--jobs N] [--ci] [--keep]
//
// --seconds  how long each target runs (default 60)
// --target   one target; may be repeated; default: all
// --seed     what the fuzzer's choices come from (default: another one each time; it is printed)
// --jobs     how many targets run side by side (default 1; with --ci one per core, at most 2)
// --ci       the same so many executions of each, every time: see below
// --keep     brings wasm/fuzz/corpus up to what the run reached, in as few inputs as that takes
//
// A check of a change must say the same about the same code. So --ci counts executions instead of seconds, starts from one
// seed, and knows nothing of earlier runs but what is in the repository. Exploring is what the long runs are for.
import { randomInt } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ask, main, run, start } from "./process.mjs";
import { setup } from "./setup.mjs";
import { environment, out, root, wasm } from "./tools.mjs";

const say = (text) => console.log(`fuzz: ${text}`);

/** The targets, in the order they run, and how often `--ci` tries each: about ten seconds on one slow core. */
const targets = {
	varint: 500_000,
	lite_message: 500_000,
	setup: 500_000,
	path: 500_000,
	jwt: 500_000,
	http_target: 500_000,
	announce_stream: 150_000,
	session_server: 20_000,
	session_client: 20_000,
	origin_ops: 60_000,
	track_ops: 60_000,
	wasm_host_calls: 30_000,
};

/** Seconds within which `--ci` must have tried that, and the seed of its choices. */
const ci = { seconds: 180, seed: 1 };

/**
 * What makes a run of the fuzzer repeat itself: so many tries, and no ideas taken from the operands of comparisons, among which
 * are addresses, which differ each time.
 */
const repeatable = (runs) => [`-runs=${runs}`, "-reload=0", "-use_cmp=0"];

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

/** Runs one target and says what it did: `{executions, finding}`. Without `runs` only the time ends it. */
async function fuzz(program, name, { seconds, seed, runs, keep }) {
	const home = join(out, runs ? "fuzz-ci" : "fuzz", name);
	if (runs) rmSync(home, { recursive: true, force: true });
	const [corpus, seeds, found] = ["corpus", "seeds", "found"].map((part) => join(home, part));
	for (const folder of [seeds, found]) rmSync(folder, { recursive: true, force: true });
	for (const folder of [corpus, seeds, found]) mkdirSync(folder, { recursive: true });
	await run(program, [], { env: { FUZZ_TARGET: name, FUZZ_SEEDS: seeds }, quiet: true });
	for (const kind of ["corpus", "regressions"]) {
		for (const [index, input] of inputs(kind, name).entries()) writeFileSync(join(seeds, `${kind}-${index}`), input);
	}
	const env = { FUZZ_TARGET: name };
	const limits = ["-timeout=10", "-rss_limit_mb=2048", "-max_len=2048", `-artifact_prefix=${found}/`];
	const much = [`-max_total_time=${seconds}`, ...(runs ? repeatable(runs) : [])];
	const options = [...much, `-seed=${seed}`, "-print_final_stats=1", "-verbosity=0", ...limits];
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
	// Which places are reached counts here, not how often: that would keep ten times as much.
	const options = ["-set_cover_merge=1", "-use_counters=0", "-max_len=2048"];
	await run(program, [...options, merged, ...folders], { env: { FUZZ_TARGET: name }, quiet: true });
	const lines = readdirSync(merged).map((file) => readFileSync(join(merged, file)).toString("hex"));
	writeFileSync(list("corpus", name), `${lines.sort().join("\n")}\n`);
	say(`${name}: ${lines.length} inputs kept`);
}

main(async () => {
	const { values } = parseArgs({
		options: {
			seconds: { type: "string" },
			target: { type: "string", multiple: true },
			seed: { type: "string" },
			jobs: { type: "string" },
			ci: { type: "boolean", default: false },
			keep: { type: "boolean", default: false },
		},
	});
	const every = Object.keys(targets);
	const names = values.target ?? every;
	const unknown = names.find((name) => !every.includes(name));
	if (unknown) throw new Error(`there is no target "${unknown}"; the targets are ${every.join(", ")}`);
	const number = (option, least, otherwise) => {
		const value = Number(values[option] ?? otherwise);
		// The fuzzer takes 32 bits, and 0 for a seed of its own choice.
		if (Number.isInteger(value) && value >= least && value < 2 ** 32) return value;
		throw new Error(`--${option} wants a whole number from ${least} on`);
	};
	const seconds = number("seconds", 1, values.ci ? ci.seconds : 60);
	const seed = number("seed", 1, values.ci ? ci.seed : randomInt(1, 2 ** 32));
	const jobs = number("jobs", 1, values.ci ? Math.min(2, availableParallelism()) : 1);
	await setup("rust");
	const program = await fuzzer();
	say(`seed ${seed}`);
	const bad = [];
	let total = 0;
	const left = [...names];
	const work = async () => {
		for (let name = left.shift(); name; name = left.shift()) {
			const began = Date.now();
			const runs = values.ci ? targets[name] : undefined;
			const { executions, finding } = await fuzz(program, name, { seconds, seed, runs, keep: values.keep });
			total += executions;
			const short = !finding && runs && executions < runs;
			if (finding || short) bad.push(name);
			const end = finding ? "FOUND SOMETHING" : short ? `too few, ${runs} are wanted` : "nothing found";
			say(`${name}: ${executions} executions in ${Math.round((Date.now() - began) / 1000)} s, ${end}`);
		}
	};
	await Promise.all(Array.from({ length: jobs }, work));
	say(`${names.length} targets, ${total} executions, ${bad.length === 0 ? "nothing found" : `see ${bad.join(", ")}`}`);
	return bad.length === 0 ? 0 : 1;
});
