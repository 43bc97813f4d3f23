// One reader in a browser of its own: figures of its main thread, its renderer process and what it received.
import { readFileSync } from "node:fs";
import { launch } from "../support/browser.mjs";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Seconds that the page's main thread was busy and bytes of its JavaScript heap, so far. */
async function pageMetrics(cdp) {
	const { metrics } = await cdp.send("Performance.getMetrics");
	const value = (name) => metrics.find((metric) => metric.name === name).value;
	return { busy: value("TaskDuration"), heap: value("JSHeapUsedSize") };
}

/** CPU seconds and resident bytes of all renderer processes; there is one page, so there is one that works. */
async function rendererMetrics(cdp) {
	const { processInfo } = await cdp.send("SystemInfo.getProcessInfo");
	const renderers = processInfo.filter(({ type }) => type === "renderer");
	const resident = ({ id }) => {
		try {
			return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${id}/status`, "utf8"))?.[1] ?? 0) * 1024;
		} catch {
			return 0; // gone since the list was made, or no /proc here
		}
	};
	return {
		cpu: renderers.reduce((sum, { cpuTime }) => sum + cpuTime, 0),
		rss: Math.max(0, ...renderers.map(resident)),
	};
}

/** One window of `ms`: everything per second of it. */
async function window(page, cdp, browserCdp, ms) {
	const before = { ...(await pageMetrics(cdp)), ...(await rendererMetrics(browserCdp)), at: performance.now() };
	await page.evaluate(() => globalThis.bench.begin());
	await sleep(ms);
	const seen = await page.evaluate(() => globalThis.bench.end());
	const after = { ...(await pageMetrics(cdp)), ...(await rendererMetrics(browserCdp)), at: performance.now() };
	const seconds = (after.at - before.at) / 1000;
	return {
		fps: seen.fps,
		p50: seen.p50,
		p99: seen.p99,
		missing: seen.missing,
		main: ((after.busy - before.busy) * 1000) / seconds,
		cpu: ((after.cpu - before.cpu) * 1000) / seconds,
		heap: after.heap / 1e6,
		rss: after.rss / 1e6,
	};
}

/**
 * Measures one reader twice: with the main thread free, then blocked half of the time.
 *
 * `where` is undefined for the idle page. Times in milliseconds.
 */
export async function measure(url, where, { warmUp, length }) {
	const { browser, complaints, open, close } = await launch();
	try {
		const page = await open(url);
		const cdp = await page.context().newCDPSession(page);
		const browserCdp = await browser.newBrowserCDPSession();
		await cdp.send("Performance.enable");
		await page.evaluate((options) => globalThis.bench.start(options), where);
		await sleep(warmUp);
		const free = await window(page, cdp, browserCdp, length);
		await page.evaluate(() => globalThis.bench.block());
		await sleep(warmUp / 2);
		const blocked = await window(page, cdp, browserCdp, length);
		if (complaints.length > 0) throw new Error(complaints[0]);
		return { free, blocked };
	} finally {
		await close();
	}
}
