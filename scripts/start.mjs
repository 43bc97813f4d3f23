// The whole thing on one machine: builds what is not built, starts the embedded relay and the demo page, prints the page's
// address and the relay's figures. Ctrl-C ends everything.
//
//   node scripts/start.mjs            for a person
//   node scripts/start.mjs --check    the same in a headless Chromium for ten seconds; the last line is JSON
import { mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { build } from "./build.mjs";
import { main } from "./process.mjs";
import { setup } from "./setup.mjs";
import { out, root } from "./tools.mjs";

const say = (text) => console.log(`start: ${text}`);

/**
 * Figures of the relay, once they are asked for: one line that is written over where there is a terminal, else a line
 * every ten seconds.
 */
function figures() {
	let count = 0;
	let shown = false;
	return {
		show() {
			shown = true;
		},
		line(line) {
			if (!shown || !line.startsWith("sessions ")) return;
			if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${line}`);
			else if (count++ % 10 === 0) console.log(line);
		},
		/** The next line is somebody else's. */
		end() {
			if (shown && process.stdout.isTTY) process.stdout.write("\n");
			shown = false;
		},
	};
}

/** The nearest-rank percentile of some numbers, or null where there are none. */
function percentile(numbers, share) {
	const sorted = [...numbers].sort((a, b) => a - b);
	const value = sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)];
	return value === undefined ? null : Math.round(value * 10) / 10;
}

/** Waits until `read()` gives a truthy value. */
async function until(what, ms, read) {
	const end = Date.now() + ms;
	for (;;) {
		const value = await read();
		if (value) return value;
		if (Date.now() > end) throw new Error(`${what} did not happen within ${ms / 1000} s`);
		await new Promise((resolve) => setTimeout(resolve, 100));
	}
}

/** Where the README's programs look for the relay. */
const RELAY_PORT = 4443;

/** The port of the README, or any other one where a program listens on it already. */
async function usualPort() {
	const server = createServer();
	const free = await new Promise((resolve) => {
		server.once("error", () => resolve(false));
		server.listen(RELAY_PORT, "127.0.0.1", () => resolve(true));
	});
	if (!free) {
		say(`port ${RELAY_PORT} is in use: programs of the README need the relay's address below instead of theirs`);
		return 0;
	}
	await new Promise((resolve) => server.close(resolve));
	return RELAY_PORT;
}

/** Runs the first two programs of the README in two tabs, as they are but for the relay's port. Returns what is wrong. */
async function tryPrograms(open, playground, relay) {
	const [reader, writer] = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/^```ts\n(.*?)^```$/gms)].map(
		([, text]) => text.replace(`http://127.0.0.1:${RELAY_PORT}`, relay.url),
	);
	const start = async (program) => {
		const page = await open(playground);
		await page.fill("#program", program);
		await page.click("#try button");
		return page;
	};
	const first = await start(reader);
	await start(writer);
	const lines = () => first.locator("#output li").allTextContents();
	const wanted = Array.from({ length: 10 }, (_, index) => `line ${index + 1}`);
	try {
		await until("all lines of the README's programs", 10_000, async () => (await lines()).length >= wanted.length);
	} catch {
		// What came instead is said below.
	}
	mkdirSync(out, { recursive: true });
	await first.screenshot({ path: join(out, "try.png") });
	const seen = await lines();
	return isDeepStrictEqual(seen, wanted) ? [] : [`the README's reader shows ${JSON.stringify(seen)}`];
}

/** Looks at the demo as a person would, in figures. Throws with everything that is wrong. */
async function check(url, playground, relay) {
	const { launch } = await import("../test/support/browser.mjs");
	const { browser, complaints, open, close } = await launch();
	say(`Chromium ${browser.version()}, headless`);
	const page = await open(url, { width: 1200, height: 900 });
	const state = () => page.evaluate(() => globalThis.moqDemo?.state());
	const problems = [];
	let last;
	try {
		await until("the first picture", 20_000, async () => (await state())?.frames > 0);
		const line = `check ${Date.now()}`;
		await page.evaluate((text) => globalThis.moqDemo.sendChat(text), line);
		await new Promise((resolve) => setTimeout(resolve, 10_000));
		last = await state();
		if (last.frames < 200) problems.push(`only ${last.frames} different frames were decoded and drawn in 10 s`);
		if (!last.chat.includes(line)) problems.push("the chat line did not come back over the relay");
		// What the worker is for: a busy page costs it nothing.
		const blocked = await page.evaluate(() => globalThis.moqDemo.block(1000));
		say(
			`page blocked for ${Math.round(blocked.blockedMs)} ms: the core worker received ${blocked.received} pictures and ` +
				`decoded ${blocked.decoded}, at most ${Math.round(blocked.longestGapMs)} ms apart`,
		);
		if (blocked.decoded < 25) problems.push(`only ${blocked.decoded} pictures were decoded while the page was blocked`);
		problems.push(...(await tryPrograms(open, playground, relay)));
	} catch (error) {
		problems.push(error.message);
		last = await state().catch(() => undefined);
	}
	mkdirSync(out, { recursive: true });
	const picture = join(out, "demo.png");
	await page.screenshot({ path: picture }).catch((error) => problems.push(error.message));
	problems.push(...(last?.errors ?? []), ...complaints);
	problems.push(
		...relay
			.log()
			.split("\n")
			.filter((text) => /\bERROR\b|panicked at/.test(text)),
	);
	await close();
	say(`screenshots: ${picture.slice(root.length)}, ${join(out, "try.png").slice(root.length)}`);
	for (const problem of problems) console.error(`start --check: ${problem}`);
	const latencies = last?.latenciesMs ?? [];
	console.log(
		JSON.stringify({
			frames: last?.frames ?? 0,
			latency_ms_p50: percentile(latencies, 0.5),
			latency_ms_p99: percentile(latencies, 0.99),
			version: last?.version ?? null,
			transport: last?.transport ?? null,
		}),
	);
	return problems.length === 0 ? 0 : 1;
}

main(async () => {
	const checking = process.argv.includes("--check");
	await setup("rust", "npm", "wasm", ...(checking ? ["chromium"] : []));
	await build();
	const { buildRelay, startOurRelay } = await import("../test/support/relay.mjs");
	const { serveApp } = await import("../test/support/serve.mjs");
	say("building the relay");
	const program = await buildRelay();
	const live = figures();
	const relay = await startOurRelay({
		program,
		port: checking ? 0 : await usualPort(),
		args: ["--drain", "1", ...(checking ? [] : ["--figures", "1"])],
		line: live.line,
	});
	say(`relay: ${relay.url}`);
	const app = await serveApp(join(root, "demo"), "demo", ["index.html", "try.html"], {
		port: checking ? 0 : 4173,
		folders: { "moq-worker": join(root, "dist") },
	});
	const query = `?relay=${encodeURIComponent(relay.url)}`;
	const url = `${app.url}${query}`;
	const playground = `${app.url}try.html${query}`;
	if (checking) {
		const code = await check(url, playground, relay);
		await app.close();
		await relay.stop();
		return code;
	}
	console.log(`
  Watch the demo            ${url}
  Run programs of your own  ${playground}
  The relay they talk to    ${relay.url}
  Ctrl-C ends everything.
`);
	live.show();
	const stopped = new Promise((resolve) => {
		process.once("SIGINT", resolve);
		process.once("SIGTERM", resolve);
	});
	const ended = await Promise.race([stopped.then(() => undefined), relay.ended]);
	live.end();
	if (ended) throw new Error(`the relay ended by itself (exit code ${ended.code}):\n${relay.log()}`);
	await app.close();
	await relay.stop();
	say("everything is stopped");
	return 0;
});
