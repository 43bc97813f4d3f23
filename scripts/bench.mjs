// Readers side by side: our package, the published JavaScript peer on the page, the same in a hand-written worker, and an
// idle page; one native publisher on the published crate, the published relay, Chromium. Writes docs/benchmarks.md.
//
//   node scripts/bench.mjs [--rounds=3] [--load=NAME] [--reader=ours|net|net-worker] [--quick]
import { cpus } from "node:os";
import { join } from "node:path";
import { build } from "./build.mjs";
import { chromiumPath } from "./chromium.mjs";
import { writeBetween } from "./marks.mjs";
import { ask, main, run, start } from "./process.mjs";
import { setup } from "./setup.mjs";
import { pinned, root, wasm } from "./tools.mjs";

const loads = [
	{ name: "30 × 20 kB", fps: 30, size: 20_000, group: 60 },
	{ name: "1000 × 1 kB", fps: 1000, size: 1000, group: 100 },
	{ name: "20 000 × 200 B", fps: 20_000, size: 200, group: 1000, heavy: true },
	{ name: "500 × 50 kB", fps: 500, size: 50_000, group: 50, heavy: true },
];

/** The readers by page name, in the order of the table. */
const readers = { ours: "moq-worker", net: "@moq/net on the page", "net-worker": "@moq/net in a worker" };

const say = (text) => console.log(`bench: ${text}`);

/** The value of `--name=value`, or undefined. */
const option = (name) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);

/** What the figures depend on. */
async function machine(rounds, times) {
	const browser = (await ask(chromiumPath(), ["--version"])) ?? "Chromium";
	const date = new Date().toISOString().slice(0, 10);
	return (
		`${date} · ${cpus().length} × ${cpus()[0].model} · ${browser} · moq-relay ${pinned["moq-relay"].version} · moq-lite-05 over WebTransport · ` +
		`median of ${rounds} interleaved rounds of ${times.length / 1000} s with lowest and highest · made by \`npm run bench\``
	);
}

main(async () => {
	await setup("rust", "npm", "wasm", "chromium", "relay");
	await build({ release: true });
	const { measure } = await import("../test/bench/measure.mjs");
	const { report } = await import("../test/bench/report.mjs");
	const { startPublishedRelay } = await import("../test/support/relay.mjs");
	const { serveApp } = await import("../test/support/serve.mjs");
	say("building the publisher");
	await run("cargo", ["build", "--release", "--locked", "--bin", "bench-publisher"], { cwd: join(wasm, "interop") });
	const target = process.env.CARGO_TARGET_DIR ?? join(wasm, "target");
	const publisher = join(target, "release/bench-publisher");

	const quick = process.argv.includes("--quick");
	const rounds = Number(option("rounds") ?? (quick ? 1 : 3));
	const times = quick ? { warmUp: 1000, length: 2000 } : { warmUp: 1500, length: 4000 };
	const chosen = loads.filter(({ name }) => !option("load") || name.includes(option("load")));
	if (chosen.length === 0) throw new Error(`no such load; there are ${loads.map(({ name }) => name).join(", ")}`);

	const began = Date.now();
	const app = await serveApp(join(root, "test/bench"), "bench", [
		"idle.html",
		"ours.html",
		"net.html",
		"net-worker.html",
	]);
	const relay = await startPublishedRelay();
	const idle = [];
	const samples = Object.fromEntries(chosen.map(({ name }) => [name, { ours: [], net: [], "net-worker": [] }]));
	for (let round = 0; round < rounds; round++) {
		idle.push(await measure(`${app.url}idle.html`, undefined, times));
		for (const load of chosen) {
			const broadcast = `bench/${round}/${load.fps}`;
			const args = [
				"--relay",
				relay.url,
				"--broadcast",
				broadcast,
				"--fps",
				load.fps,
				"--size",
				load.size,
				"--group",
				load.group,
			];
			const errors = [];
			const sender = start(publisher, args.map(String), { log: (line) => errors.push(line) });
			const died = sender.ended.then(({ code }) => {
				throw new Error(`the publisher ended with exit code ${code}: ${errors.slice(-5).join("; ")}`);
			});
			died.catch(() => {});
			// The order turns with the rounds, so that no reader always has the warm machine.
			const names = Object.keys(readers).filter((name) => (option("reader") ?? name) === name);
			const order = names.map((_, index) => names[(index + round) % names.length]);
			for (const reader of order) {
				const where = { relay: relay.url, transport: "webtransport", version: "moq-lite-05", broadcast };
				const sample = await Promise.race([measure(`${app.url}${reader}.html`, where, times), died]);
				samples[load.name][reader].push(sample);
				const { fps, p99, main: busy, cpu } = sample.free;
				say(
					`round ${round + 1}, ${load.name}, ${readers[reader]}: ${fps.toFixed(0)} frames/s, p99 ${p99?.toFixed(1)} ms, ` +
						`main ${busy.toFixed(0)} ms/s, CPU ${cpu.toFixed(0)} ms/s`,
				);
			}
			await sender.stop();
		}
	}
	await relay.stop();
	await app.close();
	const about = await machine(rounds, times);
	const { text, met, total } = report({ loads: chosen, readers, samples, idle, about });
	console.log(`\n${text}\n`);
	if (chosen.length === loads.length && !quick) writeBetween(join(root, "docs/benchmarks.md"), "bench", text);
	else say("docs/benchmarks.md is written by a whole run only");
	say(`${met} of ${total} aims met in ${((Date.now() - began) / 60_000).toFixed(1)} minutes`);
});
