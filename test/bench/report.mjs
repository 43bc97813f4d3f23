// From measurements to the tables of docs/benchmarks.md.
import { median, spread } from "../../scripts/statistics.mjs";
import { table } from "../../scripts/table.mjs";

/** The aims, as functions of the ratios and differences to `@moq/net` on the page at the same load. */
function aims(load, ours, net, worker) {
	const heavy = load.heavy;
	const list = [["renderer CPU ≤ 1.0 × page", ours.cpu / net.cpu, ours.cpu <= net.cpu]];
	if (heavy) list.push(["main thread ≤ 0.2 × page", ours.main / net.main, ours.main <= 0.2 * net.main]);
	else if (load.fps >= 1000) list.push(["main thread ≤ 0.5 × page", ours.main / net.main, ours.main <= 0.5 * net.main]);
	else list.push(["main thread ≤ hand-written worker", ours.main / worker.main, ours.main <= worker.main]);
	if (heavy) list.push(["p99 latency ≤ 1.0 × page", ours.p99 / net.p99, ours.p99 <= net.p99]);
	else list.push(["p99 latency ≤ page + 1 ms", ours.p99 - net.p99, ours.p99 <= net.p99 + 1]);
	return list.map(([name, value, met]) => ({ name, value, met }));
}

/**
 * `samples[load][reader]` is a list of `{free, blocked}`, one per round; `idle` the same for the idle page.
 * Resolves to the Markdown and how many aims were met.
 */
export function report({ loads, readers, samples, idle, about }) {
	const parts = [];
	const verdicts = [];
	const base = (mode, key) => median(idle.map((sample) => sample[mode][key]));
	for (const mode of ["free", "blocked"]) {
		parts.push(mode === "free" ? "### Main thread free" : "### Main thread blocked 100 ms out of every 200");
		for (const load of loads) {
			const net = (key) => (sample) => sample[mode][key] - base(mode, key);
			const rows = Object.entries(readers).map(([reader, label]) => {
				const runs = samples[load.name][reader];
				const all = (key) => runs.map((sample) => sample[mode][key]);
				return [
					label,
					spread(all("fps"), 0),
					spread(all("p50")),
					spread(all("p99")),
					spread(runs.map(net("main"))),
					spread(runs.map(net("cpu")), 0),
					spread(all("heap")),
					median(all("rss")).toFixed(0),
					median(all("missing")),
				];
			});
			parts.push(`**${load.name}, groups of ${load.group}**`);
			parts.push(
				table(
					[
						"reader",
						"frames/s",
						"p50 ms",
						"p99 ms",
						"main ms/s",
						"renderer CPU ms/s",
						"page heap MB",
						"RSS MB",
						"missing",
					],
					rows,
				),
			);
			if (mode === "free") {
				const figures = (reader) => {
					const runs = samples[load.name][reader];
					return {
						main: median(runs.map(net("main"))),
						cpu: median(runs.map(net("cpu"))),
						p99: median(runs.map((sample) => sample[mode].p99)),
					};
				};
				for (const aim of aims(load, figures("ours"), figures("net"), figures("net-worker"))) {
					verdicts.push([load.name, aim.name, aim.value.toFixed(2), aim.met ? "met" : "NOT met"]);
				}
			}
		}
	}
	const met = verdicts.filter(([, , , verdict]) => verdict === "met").length;
	const idleRow = `Idle page, subtracted above: main ${base("free", "main").toFixed(1)} ms/s free, ${base("blocked", "main").toFixed(1)} ms/s blocked; renderer CPU ${base("free", "cpu").toFixed(0)} and ${base("blocked", "cpu").toFixed(0)} ms/s.`;
	const text = [about, "### Aims", table(["load", "aim", "value", ""], verdicts), ...parts, idleRow].join("\n\n");
	return { text, met, total: verdicts.length };
}
