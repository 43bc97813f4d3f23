// Our relay connected to published ones, and groups of the past through both kinds.
import { join } from "node:path";
import { deadline } from "../../scripts/process.mjs";
import { root } from "../../scripts/tools.mjs";
import { launch } from "../support/browser.mjs";
import { buildRelay, startOurRelay, startPublishedRelay } from "../support/relay.mjs";
import { serveApp } from "../support/serve.mjs";

/** A row of live media passes when this many frames came, each checked byte by byte. */
const wanted = 100;
const lite = ["moq-lite-06", "moq-lite-05", "moq-lite-04", "moq-lite-03", "moq-lite-02", "moq-lite-01"];
/** Clients speak this where the row is about something else. */
const usual = "moq-lite-05";

/** Starts what a row needs, one after the other, and stops all of it in the end, whatever happens. */
async function withRelays(starts, use) {
	const relays = [];
	try {
		for (const start of starts) relays.push(await start(relays));
		return await use(relays);
	} finally {
		for (const relay of relays.reverse()) await relay.stop();
	}
}

/** One page publishes, another does `what`. Resolves to what that counted. */
async function pages(browser, app, { from, to, publishAt, readAt, what, version, publishVersion = version }) {
	const opened = [];
	const open = async (peer) => {
		const page = await browser.open(`${app.url}${peer}.html`);
		opened.push(page);
		return page;
	};
	const where = { transport: "webtransport", broadcast: "interop/links" };
	try {
		const publisher = await open(from);
		const publishing = { ...where, relay: publishAt.url, version: publishVersion };
		await publisher.evaluate((options) => globalThis.peer.publish(options), publishing);
		const reader = await open(to);
		const doing = reader.evaluate(
			([name, options, count]) => globalThis.peer[name](options, count),
			[what, { ...where, relay: readAt.url, version }, wanted],
		);
		doing.catch(() => {});
		return await deadline(doing, 20_000, what);
	} finally {
		for (const page of opened) await page.close();
	}
}

/** The rows: what is started, who publishes and reads where. */
function plan(program) {
	const published = (options) => () => startPublishedRelay(options);
	const ours = (flag) => (relays) => startOurRelay({ program, args: [flag, relays.at(-1).url] });
	const rows = [];
	for (const version of lite) {
		rows.push({
			name: `moq-relay <- embedded --upstream -> @moq/net`,
			version,
			starts: [
				published({ versions: [version, usual] }),
				(relays) =>
					startOurRelay({
						program,
						args: [
							"--upstream",
							relays.at(-1).url,
							"--version-only",
							version,
							...(version === usual ? [] : ["--version-only", usual]),
						],
					}),
			],
			row: ([above, edge]) => ({
				from: "net",
				to: "net",
				publishAt: above,
				readAt: edge,
				what: "readUnannounced",
				version: usual,
			}),
		});
	}
	rows.push({
		name: "two clustered moq-relay <- embedded --upstream -> @moq/net",
		version: "moq-lite-06",
		starts: [
			published({}),
			(relays) => startPublishedRelay({ args: ["--cluster-connect", `${relays[0].url}/`] }),
			(relays) => startOurRelay({ program, args: ["--upstream", relays[0].url] }),
		],
		row: ([, far, edge]) => ({
			from: "net",
			to: "net",
			publishAt: far,
			readAt: edge,
			what: "readUnannounced",
			version: usual,
		}),
	});
	for (const version of ["moq-lite-06", "moq-lite-05", "moq-lite-04"]) {
		const starts = [published({ versions: [version] }), ours("--peer")];
		rows.push({
			name: "moq-worker -> moq-relay <-> embedded --peer -> moq-worker",
			version,
			starts,
			row: ([far, near]) => ({ from: "ours", to: "ours", publishAt: far, readAt: near, what: "read", version }),
		});
		rows.push({
			name: "moq-worker -> embedded --peer <-> moq-relay -> moq-worker",
			version,
			starts,
			row: ([far, near]) => ({ from: "ours", to: "ours", publishAt: near, readAt: far, what: "read", version }),
		});
	}
	for (const [kind, start] of [
		["moq-relay", published({})],
		["embedded", () => startOurRelay({ program })],
	]) {
		for (const [from, to, version] of [
			["ours", "ours", "moq-lite-06"],
			["ours", "ours", "moq-lite-05"],
			["ours", "net", "moq-lite-05"],
			["net", "ours", "moq-lite-05"],
		]) {
			rows.push({
				name: `FETCH ${from === "net" ? "@moq/net" : "moq-worker"} -> ${kind} -> ${to === "net" ? "@moq/net" : "moq-worker"}`,
				version,
				starts: [start],
				row: ([relay]) => ({ from, to, publishAt: relay, readAt: relay, what: "fetchPast", version }),
			});
		}
	}
	return rows;
}

/** Runs every row. Resolves to `{rows, failed}`; a row that failed says why. */
export async function links({ say, program: given }) {
	const app = await serveApp(join(root, "test/support/peer"), "peer", ["ours.html", "net.html"]);
	const program = given ?? (await buildRelay());
	const browser = await launch();
	const rows = [];
	let failed = 0;
	for (const { name, version, starts, row } of plan(program)) {
		const before = browser.complaints.length;
		let result;
		try {
			const received = await withRelays(starts, (relays) => pages(browser, app, row(relays)));
			const complaint = browser.complaints[before];
			if (complaint) throw new Error(complaint);
			result = received.frames;
		} catch (error) {
			failed++;
			result = `FAILED: ${error.message.split("\n")[0]}`;
		}
		say(`${version} ${name}: ${result}`);
		rows.push([version, name, result]);
	}
	await browser.close();
	await app.close();
	return { rows, failed };
}
