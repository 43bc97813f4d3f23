// The packed package as users get it: under each bundler, from a CDN, as a script tag, under policies, in Node. Each consumer is built,
// opened in Chromium and makes a round trip over the embedded relay; what counts is the bytes that its page has read. Writes the table of
// docs/bundlers.md. With `--check` it is compared instead.
//
//   node scripts/consumers.mjs [--check] [NAME...]      names select consumers by a part of their name
import { createHash } from "node:crypto";
import {
	cpSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { build } from "./build.mjs";
import { ask, deadline, main, run } from "./process.mjs";
import { setup } from "./setup.mjs";
import { table } from "./table.mjs";
import { cache, root } from "./tools.mjs";

const say = (text) => console.log(`consumers: ${text}`);
const source = join(root, "test/consumers");

/** The bundlers, installed once for each lock file. */
async function install() {
	const lock = readFileSync(join(source, "package-lock.json"));
	const home = join(dirname(cache), "consumers", createHash("sha256").update(lock).digest("hex").slice(0, 16));
	if (existsSync(join(home, "node_modules/.complete"))) return home;
	say("installing the bundlers (a minute or two, once per machine)");
	mkdirSync(home, { recursive: true });
	for (const name of ["package.json", "package-lock.json"]) cpSync(join(source, name), join(home, name));
	await run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: home });
	writeFileSync(join(home, "node_modules/.complete"), "");
	return home;
}

/** Packs the package, and unpacks it where `npm install` would. Returns the folder of the app. */
async function pack(home) {
	const app = join(home, "app");
	rmSync(app, { recursive: true, force: true });
	cpSync(join(source, "app"), app, { recursive: true });
	writeFileSync(join(app, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }));
	mkdirSync(join(app, "node_modules"), { recursive: true });
	const folder = mkdtempSync(join(tmpdir(), "moq-worker-pack-"));
	try {
		const answer = JSON.parse(
			await ask("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], { cwd: root }),
		);
		const [{ filename }] = Array.isArray(answer) ? answer : Object.values(answer);
		await run("tar", ["-xzf", join(folder, filename), "-C", folder]);
		rmSync(join(app, "node_modules/moq-worker"), { recursive: true, force: true });
		cpSync(join(folder, "package"), join(app, "node_modules/moq-worker"), { recursive: true });
		renameSync(join(folder, filename), join(home, "moq-worker.tgz"));
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
	return app;
}

/** Paths of this machine, and links of the README that lead nowhere, have no place in the package. */
function checkFiles(app) {
	const home = join(app, "node_modules/moq-worker");
	const names = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
	for (const { parentPath, name } of names) {
		const bytes = readFileSync(join(parentPath, name));
		for (const path of [root, process.env.HOME]) {
			if (path && path.length > 1 && bytes.includes(`${path.replace(/\/$/, "")}/`))
				throw new Error(`${name} holds the path ${path} of this machine`);
		}
	}
	for (const name of ["LICENSE-MIT", "LICENSE-APACHE", "README.md", "CHANGELOG.md"]) {
		if (!existsSync(join(home, name))) throw new Error(`${name} is not in the package`);
	}
	for (const [, target] of readFileSync(join(home, "README.md"), "utf8").matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
		if (!existsSync(join(home, target))) throw new Error(`README.md links to ${target}, which is not in the package`);
	}
}

main(async () => {
	const args = process.argv.slice(2);
	const checking = args.includes("--check");
	const wanted = args.filter((arg) => !arg.startsWith("--"));
	await setup("rust", "npm", "wasm", "chromium");
	await build({ release: true });
	const home = await install();
	const app = await pack(home);
	checkFiles(app);
	const { startOurRelay } = await import("../test/support/relay.mjs");
	const { launch } = await import("../test/support/browser.mjs");
	const { consumers } = await import("../test/consumers/consumers.mjs");
	// Frames without an origin say `null`.
	const relay = await startOurRelay({ args: ["--allow-origin", "*"] });
	const { browser, close } = await launch();
	const rows = [];
	let failed = 0;
	try {
		for (const consumer of consumers) {
			if (wanted.length > 0 && !wanted.some((part) => consumer.name.includes(part))) continue;
			const began = Date.now();
			const out = join(home, "out", consumer.name.replace(/[^a-z0-9]+/gi, "-"));
			rmSync(out, { recursive: true, force: true });
			mkdirSync(out, { recursive: true });
			let outcome;
			try {
				outcome = await deadline(consumer.run({ home, app, out, relay, browser }), 180_000, consumer.name);
			} catch (error) {
				failed++;
				console.error(`consumers: ${consumer.name}: ${error.stack ?? error}`);
				outcome = "FAILED";
			}
			say(`${consumer.name}: ${outcome} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
			rows.push([consumer.name, consumer.needs ?? "–", outcome]);
		}
	} finally {
		await close();
		await relay.stop();
	}
	const text = table(["consumer", "what it takes", "round trip"], rows);
	if (wanted.length === 0 && failed === 0 && write(text, checking)) failed++;
	console.log(`consumers: ${rows.length} tried, ${failed} failed`);
	return failed === 0 ? 0 : 1;
});

/** Puts the table into docs/bundlers.md; or says whether it is another one there. */
function write(text, checking) {
	const path = join(root, "docs/bundlers.md");
	const [begin, end] = ["<!-- table: npm run consumers -->\n", "<!-- end of table -->"];
	const page = readFileSync(path, "utf8");
	const [before, rest] = page.split(begin);
	const after = rest?.split(end)[1];
	if (after === undefined) throw new Error("docs/bundlers.md has no place for the table");
	const whole = `${before}${begin}\n${text}\n\n${end}${after}`;
	if (whole === page) return false;
	if (checking) {
		console.error("consumers: the table of docs/bundlers.md is not what this run has found: run `npm run consumers`");
		return true;
	}
	writeFileSync(path, whole);
	say("docs/bundlers.md has a new table");
	return false;
}
