// Two pages, a relay between them: every pair of peers, version by version, over both transports.
import { join } from "node:path";
import { deadline } from "../../scripts/process.mjs";
import { root } from "../../scripts/tools.mjs";
import { launch } from "../support/browser.mjs";
import { startOurRelay, startPublishedRelay } from "../support/relay.mjs";
import { serveApp } from "../support/serve.mjs";

/** A row passes when this many frames came, each checked byte by byte. */
const wanted = 100;

/** What each side can speak. `@moq/net` 0.3.4 knows no released version above 05. */
const versions = {
	ours: ["moq-lite-06", "moq-lite-05", "moq-lite-04", "moq-lite-03"],
	net: ["moq-lite-05", "moq-lite-04", "moq-lite-03"],
};

const label = { ours: "moq-worker", net: "@moq/net" };

/** The directions tested through each relay. */
const directions = {
	"moq-relay": [
		["ours", "ours"],
		["ours", "net"],
		["net", "ours"],
	],
	embedded: [
		["ours", "ours"],
		["ours", "net"],
		["net", "ours"],
		["net", "net"],
	],
};

/** Both ends at each version they share, and the newest of each where those differ: the relay translates. */
function pairings(from, to) {
	const same = versions[from].filter((version) => versions[to].includes(version)).map((version) => [version, version]);
	const newest = [versions[from][0], versions[to][0]];
	return newest[0] === newest[1] ? same : [newest, ...same];
}

/** One publisher, one reader. Resolves to what the reader counted. */
async function row(browser, app, { relay, from, to, transport, pair, broadcast }) {
	const where = { relay: relay.url, transport, broadcast };
	const pages = [];
	const open = async (peer) => {
		const page = await browser.open(`${app.url}${peer}.html`);
		pages.push(page);
		return page;
	};
	try {
		const publisher = await open(from);
		await publisher.evaluate((options) => globalThis.peer.publish(options), { ...where, version: pair[0] });
		const reader = await open(to);
		const reading = reader.evaluate(
			([options, count]) => globalThis.peer.read(options, count),
			[{ ...where, version: pair[1] }, wanted],
		);
		reading.catch(() => {});
		const received = await deadline(reading, 20_000, `reading ${wanted} frames`);
		if (received.transport !== transport) throw new Error(`asked for ${transport}, got ${received.transport}`);
		return received;
	} finally {
		for (const page of pages) await page.close();
	}
}

/** The name a table shows for a pair of versions: one where both ends speak the same. */
const shown = ([from, to]) => (from === to ? from : `${from} -> ${to}`);

/** Runs every row. Resolves to `{rows, failed}`; a row that failed says why. */
export async function matrix({ say }) {
	const app = await serveApp(join(root, "test/support/peer"), "peer", ["ours.html", "net.html"]);
	const rows = [];
	let failed = 0;
	for (const start of [startPublishedRelay, startOurRelay]) {
		const relay = await start();
		const browser = await launch();
		let count = 0;
		for (const [from, to] of directions[relay.name]) {
			for (const transport of ["webtransport", "websocket"]) {
				for (const pair of pairings(from, to)) {
					const direction = `${label[from]} -> ${relay.name} -> ${label[to]}`;
					const before = browser.complaints.length;
					let result;
					try {
						const options = { relay, from, to, transport, pair, broadcast: `interop/${count++}` };
						const received = await row(browser, app, options);
						const complaint = browser.complaints[before];
						if (complaint) throw new Error(complaint);
						result = received.frames;
					} catch (error) {
						failed++;
						result = `FAILED: ${error.message.split("\n")[0]}`;
					}
					say(`${shown(pair)} ${transport} ${direction}: ${result}`);
					rows.push([shown(pair), transport, direction, result]);
				}
			}
		}
		await browser.close();
		await relay.stop();
	}
	await app.close();
	return { rows, failed };
}
