// The embedded relay and the published `moq-relay` under the same load, by the same client (wasm/load), on this machine: each
// run starts a fresh relay; the order is A B B A. Writes the tables of docs/benchmarks.md.
//
//   node scripts/load.mjs [--scenario=L1] [--rounds=2] [--quick]
import { cpus } from "node:os";
import { join } from "node:path";
import { writeBetween } from "./marks.mjs";
import { ask, main, run } from "./process.mjs";
import { setup } from "./setup.mjs";
import { pinned, root, wasm } from "./tools.mjs";

const VERSION = "moq-lite-06";
/** What the published relay does otherwise by default: as many streams as ours accepts, packets as large as the path takes. */
const ALIKE = ["--quic-max-streams", "1024", "--quic-mtu-discovery"];

const say = (text) => console.log(`load: ${text}`);

/** The value of `--name=value`, or undefined. */
const option = (name) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);

/** The relay on one core and the client on another, where there are two and a program that can say so. */
async function placement() {
	const able = cpus().length >= 2 && (await ask("taskset", ["--version"])) !== undefined;
	return able ? { relay: 0, client: 1 } : {};
}

async function build() {
	const packages = ["-p", "moq-worker-relay", "-p", "moq-worker-load"];
	await run("cargo", ["build", "--release", "--locked", ...packages], { cwd: wasm });
	const target = join(process.env.CARGO_TARGET_DIR ?? join(wasm, "target"), "release");
	return { relay: join(target, "moq-worker-relay"), client: join(target, "load") };
}

main(async () => {
	await setup("rust", "relay");
	const { onCore, startOurRelay, startPublishedRelay } = await import("../test/support/relay.mjs");
	const { scenarios } = await import("../test/load/scenarios.mjs");
	const { clientBound, pointTable, problems } = await import("../test/load/report.mjs");
	const programs = await build();
	const cores = await placement();

	const quick = process.argv.includes("--quick");
	const rounds = Number(option("rounds") ?? (quick ? 1 : 2));
	const [settle, window] = quick ? [500, 1500] : [1500, 4000];
	// A B B A, so that neither relay always has the warmer machine.
	const order = quick ? ["ours", "published"] : ["ours", "published", "published", "ours"];
	const wanted = option("scenario");
	const chosen = scenarios.filter(({ id }) => !wanted || id === wanted);
	if (chosen.length === 0) throw new Error(`no such scenario; there are ${scenarios.map(({ id }) => id).join(", ")}`);

	const relays = {
		ours: () => startOurRelay({ program: programs.relay, core: cores.relay }),
		published: () => startPublishedRelay({ core: cores.relay, logs: "warn", args: ALIKE }),
	};

	/** One run of the client against a relay of its own. */
	async function measure(name, scenario, point) {
		const relay = await relays[name]();
		try {
			const certificate = (await (await fetch(`${relay.url}/certificate.sha256`)).text()).trim();
			const target = ["--relay", new URL(relay.url).host, "--certificate", certificate, "--pid", relay.pid];
			const timing = scenario.steady ? ["--settle", settle, "--window", window] : [];
			const args = [...target, "--speak", VERSION, ...timing, ...point.args].map(String);
			const [command, rest] = onCore(cores.client, programs.client, args);
			const stdout = await run(command, rest, { quiet: true, timeoutMs: 120_000 });
			return JSON.parse(stdout.trim().split("\n").at(-1));
		} finally {
			await relay.stop();
		}
	}

	const began = Date.now();
	const wrong = [];
	let [met, total, bound] = [0, 0, 0];
	for (const scenario of chosen) {
		const parts = [];
		for (const point of scenario.points) {
			const runs = { ours: [], published: [] };
			for (let round = 0; round < rounds; round++) {
				for (const name of order) {
					const where = `${scenario.id}, ${point.name}, ${name}`;
					try {
						const result = await measure(name, scenario, point);
						runs[name].push(result);
						const found = problems(name, result);
						for (const problem of found) wrong.push(`${where}: ${problem}`);
						if (clientBound(result)) bound += 1;
						const shown = scenario.figures.slice(0, 4).map(({ key, name, digits, unit = 1 }) => {
							const value = result.figures[key];
							return `${name} ${value === undefined ? "–" : (value / unit).toFixed(digits)}`;
						});
						say([where, ...shown, ...found].join(", "));
					} catch (error) {
						wrong.push(`${where}: ${error.message}`);
						say(`${where}: ${error.message}`);
					}
				}
			}
			const result = pointTable(scenario, runs);
			met += result.met;
			total += result.total;
			parts.push(`**${point.name}**`, result.text);
		}
		const about =
			`${new Date().toISOString().slice(0, 10)} · ${cpus().length} × ${cpus()[0].model} · ` +
			`${cores.client === undefined ? "not pinned" : "relay and client on a core each"} · moq-relay ${pinned["moq-relay"].version} · ` +
			`${VERSION} over WebTransport · median of ${(rounds * order.length) / 2} runs with lowest and highest` +
			`${scenario.steady ? `, ${window / 1000} s each` : ""} · made by \`npm run load -- --scenario=${scenario.id}\``;
		const text = [`### ${scenario.id}: ${scenario.name}`, scenario.about, about, ...parts].join("\n\n");
		console.log(`\n${text}\n`);
		if (quick) say("docs/benchmarks.md is written by whole runs only");
		else writeBetween(join(root, "docs/benchmarks.md"), `load-${scenario.id}`, text);
	}
	for (const problem of wrong) console.error(`error: ${problem}`);
	const minutes = ((Date.now() - began) / 60_000).toFixed(1);
	say(
		`${met} of ${total} aims met, ${wrong.length} problems, the client was the bottleneck in ${bound} runs, ${minutes} minutes`,
	);
	return wrong.length === 0 ? 0 : 1;
});
