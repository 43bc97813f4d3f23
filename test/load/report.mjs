// From runs of the load client to the tables of docs/benchmarks.md.
import { median, spread } from "../../scripts/statistics.mjs";
import { table } from "../../scripts/table.mjs";

/** Above this share of its core the client may be what limits a run. */
const BUSY = 0.9;

/** What is wrong with a run of one relay, in words. Losses of the published relay are figures of the comparison, not failures. */
export function problems(relay, run) {
	const list = [...run.unfinished];
	if (run.corrupt > 0) list.push(`${run.corrupt} payloads were damaged or doubled`);
	if (run.lostGroups > 0 && relay === "ours")
		list.push(`${run.lostGroups} groups were lost (${run.lostFrames} payloads)`);
	return list;
}

/** Whether the client had next to nothing left of its core in any part of a run. */
export const clientBound = (run) =>
	Object.entries(run.figures).some(([key, value]) => /(^|\.)clientShare$/.test(key) && value > BUSY);

/** Did the figure reach what is asked of it? Undefined where nothing is asked; what was not measured did not. */
function verdict(figure, ours, ratio) {
	if (figure.exactly !== undefined) return ours.length > 0 && ours.every((value) => value === figure.exactly);
	if (figure.atLeast !== undefined) return ratio !== undefined && ratio >= figure.atLeast;
	if (figure.atMost !== undefined) return ratio !== undefined && ratio <= figure.atMost;
	return undefined;
}

function aim(figure) {
	if (figure.exactly !== undefined) return `= ${figure.exactly}`;
	if (figure.atLeast !== undefined) return `≥ ${figure.atLeast.toFixed(2)}`;
	return figure.atMost === undefined ? "" : `≤ ${figure.atMost.toFixed(2)}`;
}

/** The table of one point of a scenario; `runs` is `{ours: [run…], published: [run…]}`. */
export function pointTable(scenario, runs) {
	const rows = [];
	const verdicts = [];
	for (const figure of scenario.figures) {
		const values = (relay) => runs[relay].map((run) => run.figures[figure.key] / (figure.unit ?? 1));
		const [ours, published] = [values("ours"), values("published")];
		const known = [...ours, ...published].every(Number.isFinite) && ours.length > 0 && published.length > 0;
		const ratio = known && median(published) !== 0 ? median(ours) / median(published) : undefined;
		const met = verdict(figure, ours, ratio);
		if (met !== undefined) verdicts.push(met);
		const shown = (list) => spread(list.every(Number.isFinite) ? list : [], figure.digits);
		rows.push([
			figure.name,
			shown(ours),
			shown(published),
			ratio === undefined ? "–" : ratio.toFixed(2),
			aim(figure),
			met === undefined ? "" : met ? "met" : "NOT met",
		]);
	}
	const sum = (relay, key) => runs[relay].reduce((total, run) => total + run[key], 0);
	for (const [key, name] of [
		["lostGroups", "lost groups, all rounds"],
		["corrupt", "damaged payloads, all rounds"],
	]) {
		const ours = sum("ours", key);
		verdicts.push(ours === 0);
		rows.push([name, ours, sum("published", key), "–", "= 0", ours === 0 ? "met" : "NOT met"]);
	}
	const bound = [...runs.ours, ...runs.published].filter(clientBound).length;
	const note = bound
		? `\n\nIn ${bound} of ${runs.ours.length + runs.published.length} runs the client had more than ${BUSY * 100} % of its core busy in some phase: rates and latencies there are bounded by the client, what the relay paid per unit is not.`
		: "";
	return {
		text: table(["figure", "ours", "published", "ratio", "aim", ""], rows) + note,
		met: verdicts.filter(Boolean).length,
		total: verdicts.length,
	};
}
