// One function per bundler: builds the app in `app` into `out`, with what is installed in `home`. The app imports the packed package.
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { run } from "../../scripts/process.mjs";

const load = (home, name) => import(pathToFileURL(createRequire(join(home, "package.json")).resolve(name)).href);

/** A page that runs one module script. */
const page = (script) =>
	`<!doctype html><html lang="en"><meta charset="utf-8"><title>consumer</title><link rel="icon" href="data:,"><script type="module" src="${script}"></script></html>\n`;

const html = (out, script = "./main.js") => {
	mkdirSync(out, { recursive: true });
	writeFileSync(join(out, "index.html"), page(script));
};

/** Vite's build, of the version that is installed as `name`. `base` is where its files are served from. */
export async function vite(home, app, out, name, { base = "./" } = {}) {
	const { build } = await load(home, name);
	await build({
		root: app,
		configFile: false,
		logLevel: "warn",
		base,
		build: { outDir: out, emptyOutDir: true, reportCompressedSize: false },
	});
}

/** Vite's development server. */
export async function viteServer(home, app, name, config = {}) {
	const { createServer } = await load(home, name);
	const server = await createServer({
		root: app,
		configFile: false,
		logLevel: "warn",
		cacheDir: join(app, "node_modules/.cache", name),
		server: { host: "127.0.0.1", port: 0 },
		...config,
	});
	await server.listen();
	return { url: `http://127.0.0.1:${server.httpServer.address().port}/`, close: () => server.close() };
}

/** webpack, or Rspack, which has the same interface. */
export async function webpack(home, app, out, name, { publicPath = "auto" } = {}) {
	const module = await load(home, name);
	const bundler = module.rspack ?? module.default;
	const compiler = bundler({
		mode: "production",
		context: app,
		entry: join(app, "main.js"),
		output: { path: out, filename: "main.js", publicPath, module: true, chunkFormat: "module" },
		experiments: { outputModule: true },
		performance: false,
	});
	await new Promise((resolve, reject) => {
		compiler.run((error, stats) => {
			if (error || stats.hasErrors()) return reject(error ?? new Error(stats.toString({ colors: false })));
			compiler.close(() => resolve());
		});
	});
	html(out);
}

export async function parcel(home, app, out) {
	const cli = join(home, "node_modules/parcel/lib/bin.js");
	const args = [
		"build",
		join(app, "index.html"),
		"--dist-dir",
		out,
		"--public-url",
		"./",
		"--no-cache",
		"--no-source-maps",
		"--log-level",
		"warn",
	];
	await run(process.execPath, [cli, ...args], { cwd: app });
}

/** The files that plain bundlers do not follow. */
function copyFiles(app, out) {
	const dist = join(app, "node_modules/moq-worker/dist");
	for (const name of ["worker.js", "core_bg.wasm"]) copyFileSync(join(dist, name), join(out, name));
}

export async function esbuild(home, app, out, entry) {
	const { build } = await load(home, "esbuild");
	await build({
		entryPoints: [join(app, entry)],
		outfile: join(out, "main.js"),
		bundle: true,
		format: "esm",
		target: "es2022",
		logLevel: "error",
	});
	html(out);
	if (entry === "copied.js") copyFiles(app, out);
}

export async function rollup(home, app, out, entry) {
	const { rollup: start } = await load(home, "rollup");
	const { default: resolve } = await load(home, "@rollup/plugin-node-resolve");
	const bundle = await start({
		input: join(app, entry),
		plugins: [resolve({ browser: true })],
		onwarn: (warning) => {
			throw new Error(warning.message);
		},
	});
	await bundle.write({ file: join(out, "main.js"), format: "es" });
	await bundle.close();
	html(out);
	if (entry === "copied.js") copyFiles(app, out);
}

/** Next with Turbopack, exported as static files: the page is rendered on the server first, where the package must do nothing. */
export async function next(home, app, out) {
	const project = join(app, "next");
	mkdirSync(join(project, "app"), { recursive: true });
	writeFileSync(
		join(project, "package.json"),
		JSON.stringify({ name: "consumer-next", private: true, type: "module" }),
	);
	writeFileSync(
		join(project, "next.config.mjs"),
		'export default { output: "export", turbopack: { root: process.cwd() + "/../../.." } };\n',
	);
	writeFileSync(
		join(project, "app/layout.js"),
		'export default ({ children }) => <html lang="en"><body>{children}</body></html>;\n',
	);
	writeFileSync(
		join(project, "app/page.js"),
		[
			'"use client";',
			'import * as moq from "moq-worker";',
			'import { useEffect } from "react";',
			'import { report } from "./round-trip.js";',
			"export default function Page() { useEffect(() => report(moq), []); return <p>consumer</p>; }",
			"",
		].join("\n"),
	);
	writeFileSync(join(project, "app/round-trip.js"), readFileSync(join(app, "round-trip.js")));
	const env = { ...process.env, NEXT_TELEMETRY_DISABLED: "1" };
	await run(process.execPath, [join(home, "node_modules/next/dist/bin/next"), "build"], { cwd: project, env });
	cpSync(join(project, "out"), out, { recursive: true });
}

/** No bundler: the files of the package as they are, and a page that `body` is the middle of. */
export function plain(app, out, body) {
	mkdirSync(out, { recursive: true });
	cpSync(join(app, "node_modules/moq-worker/dist"), join(out, "moq-worker"), { recursive: true });
	for (const name of ["round-trip.js", "main.js", "inline.js"]) copyFileSync(join(app, name), join(out, name));
	writeFileSync(
		join(out, "index.html"),
		`<!doctype html><html lang="en"><meta charset="utf-8"><title>consumer</title><link rel="icon" href="data:,">${body}</html>\n`,
	);
}
