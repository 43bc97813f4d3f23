// The consumers, in the order of the table. Each `run` says what it has seen, in words that do not change from run to run, or throws.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { ask, run } from "../../scripts/process.mjs";
import { esbuild, next, parcel, plain, rollup, vite, viteServer, webpack } from "./bundlers.mjs";

const TYPES = {
	".html": "text/html",
	".js": "text/javascript",
	".wasm": "application/wasm",
	".css": "text/css",
	".json": "application/json",
	".txt": "text/plain",
};

/** Serves a folder on an origin of its own; `headers(name)` adds to those of a file. */
async function serve(folder, headers = () => ({})) {
	const server = createServer((request, response) => {
		const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
		const name = normalize(path.endsWith("/") ? `${path}index.html` : path);
		try {
			const body = readFileSync(join(folder, name));
			response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "application/octet-stream", ...headers(name) });
			response.end(body);
		} catch {
			response.writeHead(404).end();
		}
	});
	await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
	return {
		url: `http://127.0.0.1:${server.address().port}/`,
		close: () => new Promise((resolve) => server.close(resolve)),
	};
}

const ANY_ORIGIN = () => ({ "access-control-allow-origin": "*" });

/** Opens the page and waits for the outcome of its round trip. */
async function roundTrip(browser, url, relay) {
	const page = await browser.newPage();
	const complaints = [];
	page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
	page.on("pageerror", (error) => complaints.push(String(error)));
	try {
		await page.goto(`${url}?relay=${encodeURIComponent(relay.url)}`);
		const handle = await page
			.waitForFunction(() => globalThis.consumerResult, undefined, { timeout: 30_000 })
			.catch((error) => {
				throw new Error(`${error.message}\n${complaints.join("\n")}`);
			});
		const result = await handle.jsonValue();
		if (result.error || result.bytes !== result.expected)
			throw new Error(`${JSON.stringify(result)}\n${complaints.join("\n")}`);
		return `${result.bytes} bytes read`;
	} finally {
		await page.close();
	}
}

/** Serves what `make` has put into `out`, and tries it. */
const served = (make, headers) => async (context) => {
	await make(context);
	const server = await serve(context.out, headers);
	try {
		return await roundTrip(context.browser, server.url, context.relay);
	} finally {
		await server.close();
	}
};

/** The files of the package on another origin, as on a CDN, and a page that `body` makes of their address. */
const fromElsewhere = (body, headers) => async (context) => {
	const { app, out, browser, relay } = context;
	const cdn = await serve(join(app, "node_modules/moq-worker/dist"), ANY_ORIGIN);
	plain(app, out, body(cdn.url));
	const server = await serve(out, headers?.(cdn.url));
	try {
		return await roundTrip(browser, server.url, relay);
	} finally {
		await server.close();
		await cdn.close();
	}
};

/** What a bundler has built for a CDN: its scripts come from another origin than the page. */
const withBase = (make) => async (context) => {
	const { out, browser, relay } = context;
	const cdn = await serve(out, ANY_ORIGIN);
	await make(context, cdn.url);
	const pages = join(out, "page");
	mkdirSync(pages);
	writeFileSync(
		join(pages, "index.html"),
		readFileSync(join(out, "index.html"), "utf8").replaceAll('src="./', `src="${cdn.url}`),
	);
	const server = await serve(pages);
	try {
		return await roundTrip(browser, server.url, relay);
	} finally {
		await server.close();
		await cdn.close();
	}
};

const development =
	(name, config) =>
	async ({ home, app, browser, relay }) => {
		const server = await viteServer(home, app, name, config);
		try {
			return await roundTrip(browser, server.url, relay);
		} finally {
			await server.close();
		}
	};

/** Runs `report` of the app on a script tag's global. */
const tag = '<script type="module">import { report } from "./round-trip.js"; report(MoqWorker);</script>';
const imports = (address) =>
	`<script type="importmap">${JSON.stringify({ imports: { "moq-worker": address } })}</script>`;
const main = '<script type="module" src="./main.js"></script>';
const policy = (text) => (name) => (name.endsWith(".html") ? { "content-security-policy": text } : {});

/** Types compile under every release of TypeScript that is in use, with nothing skipped. */
const types =
	(version) =>
	async ({ home, app, out }) => {
		writeFileSync(
			join(app, "types.ts"),
			'import { connect } from "moq-worker";\nimport * as inline from "moq-worker/inline";\nimport { Player } from "moq-worker/media";\nexport const parts = [connect, inline.connect, Player];\n',
		);
		const config = {
			compilerOptions: {
				target: "ES2022",
				lib: ["ES2022", "DOM", "DOM.Iterable"],
				module: "ESNext",
				moduleResolution: "bundler",
				strict: true,
				skipLibCheck: false,
				noEmit: true,
				types: [],
			},
			files: [join(app, "types.ts")],
		};
		writeFileSync(join(out, "tsconfig.json"), JSON.stringify(config));
		const { bin } = JSON.parse(readFileSync(join(home, `node_modules/typescript-${version}/package.json`), "utf8"));
		await run(process.execPath, [join(home, `node_modules/typescript-${version}`, bin.tsc), "-p", out], { cwd: app });
		return "compiles";
	};

/** A program of the package's checks, which fails by its exit code. */
const checked =
	(name, bin, args) =>
	async ({ home }) => {
		await run(process.execPath, [join(home, "node_modules", name, bin), ...args(join(home, "moq-worker.tgz"))], {
			cwd: home,
			quiet: true,
		});
		return "nothing found";
	};

export const consumers = [
	{ name: "Vite 8, build", run: served(({ home, app, out }) => vite(home, app, out, "vite-8")) },
	{ name: "Vite 8, development server", run: development("vite-8") },
	{
		name: "Vite 8, build with its files on a CDN",
		run: withBase(({ home, app, out }, base) => vite(home, app, out, "vite-8", { base })),
	},
	{ name: "Vite 7, build", run: served(({ home, app, out }) => vite(home, app, out, "vite-7")) },
	{
		name: "Vite 7, development server",
		needs: '`optimizeDeps: { exclude: ["moq-worker"] }`',
		run: development("vite-7", { optimizeDeps: { exclude: ["moq-worker"] } }),
	},
	{ name: "webpack 5", run: served(({ home, app, out }) => webpack(home, app, out, "webpack")) },
	{
		name: "webpack 5 with its files on a CDN",
		run: withBase(({ home, app, out }, publicPath) => webpack(home, app, out, "webpack", { publicPath })),
	},
	{ name: "Rspack", run: served(({ home, app, out }) => webpack(home, app, out, "@rspack/core")) },
	{ name: "Parcel 2", run: served(({ home, app, out }) => parcel(home, app, out)) },
	{
		name: "Next, Turbopack build",
		needs: "a client component, `connect` in an effect",
		run: served(({ home, app, out }) => next(home, app, out)),
	},
	{
		name: "esbuild",
		needs: "`worker.js` and `core_bg.wasm` copied, their addresses given to `loadRuntime`",
		run: served(({ home, app, out }) => esbuild(home, app, out, "copied.js")),
	},
	{ name: "esbuild, `moq-worker/inline`", run: served(({ home, app, out }) => esbuild(home, app, out, "inline.js")) },
	{ name: "Rollup", needs: "as esbuild", run: served(({ home, app, out }) => rollup(home, app, out, "copied.js")) },
	{ name: "Rollup, `moq-worker/inline`", run: served(({ home, app, out }) => rollup(home, app, out, "inline.js")) },
	{ name: "import map", run: served(({ app, out }) => plain(app, out, imports("./moq-worker/index.js") + main)) },
	{
		name: "script tag",
		run: served(({ app, out }) =>
			plain(app, out, `<script src="./moq-worker/moq-worker.core.iife.js"></script>${tag}`),
		),
	},
	{
		name: "script tag from a CDN",
		run: fromElsewhere((cdn) => `<script src="${cdn}moq-worker.core.iife.js"></script>${tag}`),
	},
	{
		name: "script tag from a CDN with its integrity hash",
		needs: "`crossorigin`, and the hash of `dist/integrity.json`",
		run: async (context) => {
			const hashes = JSON.parse(readFileSync(join(context.app, "node_modules/moq-worker/dist/integrity.json"), "utf8"));
			const hash = hashes["moq-worker.core.iife.js"];
			const body = (cdn) =>
				`<script src="${cdn}moq-worker.core.iife.js" integrity="${hash}" crossorigin></script>${tag}`;
			return await fromElsewhere(body)(context);
		},
	},
	{ name: "modules from a CDN", run: fromElsewhere((cdn) => imports(`${cdn}index.js`) + main) },
	{
		name: "modules from a CDN under a policy",
		needs: "the CDN in `script-src` and `connect-src`, `worker-src blob:`, `'wasm-unsafe-eval'`",
		run: fromElsewhere(
			(cdn) =>
				`<script type="module" src="./cdn.js"></script><!-- ${cdn} -->`
					.replace("./cdn.js", "./main.js")
					.replace("<script", `${imports(`${cdn}index.js`)}<script`),
			(cdn) =>
				policy(
					`default-src 'self'; img-src data:; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' ${cdn}; worker-src blob:; connect-src ${cdn} http://127.0.0.1:* https://127.0.0.1:* ws://127.0.0.1:*`,
				),
		),
	},
	{
		name: "Content-Security-Policy `default-src 'self'`",
		needs: "the relay in `connect-src`",
		run: served(
			({ home, app, out }) => vite(home, app, out, "vite-8"),
			policy(
				"default-src 'self'; img-src data:; connect-src 'self' http://127.0.0.1:* https://127.0.0.1:* ws://127.0.0.1:*",
			),
		),
	},
	{
		name: "Trusted Types",
		needs: "a policy for script URLs, or a `Worker` of the page's own",
		run: served(
			({ app, out }) =>
				plain(
					app,
					out,
					`<script>trustedTypes.createPolicy("default", { createScriptURL: (url) => url });</script>${imports("./moq-worker/index.js")}${main}`,
				),
			(name) => (name.endsWith(".html") ? { "content-security-policy": "require-trusted-types-for 'script'" } : {}),
		),
	},
	{
		name: "cross-origin isolated page (COEP `require-corp`)",
		needs: "the header on `worker.js` too",
		run: served(
			({ home, app, out }) => vite(home, app, out, "vite-8"),
			() => ({ "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" }),
		),
	},
	{
		name: "the same without the header on `worker.js`",
		run: async (context) => {
			const isolated = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
			const isWorker = /worker[^/]*\.js$/;
			const make = ({ app, out }) => plain(app, out, imports("./moq-worker/index.js") + main);
			const tried = served(make, (name) => (isWorker.test(name) ? {} : isolated))(context);
			const text = await tried.then(
				() => "it works",
				(error) => error.message,
			);
			if (!/needs the same Cross-Origin-Embedder-Policy/.test(text)) throw new Error(text);
			return "says what is missing";
		},
	},
	{
		name: "sandboxed frame, everything inline",
		needs: "`moq-worker.iife.inline.js`, and a relay that admits the origin `null`",
		run: served(({ app, out }) => {
			plain(
				app,
				out,
				'<script>addEventListener("message", ({ data }) => { globalThis.consumerResult = data; });</script><iframe sandbox="allow-scripts"></iframe><script>document.querySelector("iframe").src = "./frame.html" + location.search;</script>',
			);
			writeFileSync(
				join(out, "frame.html"),
				'<!doctype html><script src="./moq-worker/moq-worker.iife.inline.js"></script><script type="module">import { report } from "./round-trip.js"; report(MoqWorker);</script>',
			);
		}, ANY_ORIGIN),
	},
	{
		name: "Node, import alone",
		run: async ({ app, out }) => {
			const program = join(app, "node.mjs");
			const names = ["moq-worker", "moq-worker/inline", "moq-worker/media"];
			writeFileSync(
				program,
				`const before = Reflect.ownKeys(globalThis).length; for (const name of ${JSON.stringify(names)}) await import(name); console.log(Reflect.ownKeys(globalThis).length - before);`,
			);
			const answer = await ask(process.execPath, [program], { cwd: out });
			if (answer?.trim() !== "0") throw new Error(`it leaves ${answer} globals behind, or cannot be imported`);
			return "does nothing";
		},
	},
	...["5.6", "5.9", "6", "7"].map((version) => ({
		name: `types, TypeScript ${version}`,
		needs: "nothing skipped (`skipLibCheck: false`)",
		run: types(version),
	})),
	{ name: "publint", run: checked("publint", "src/cli.js", (tarball) => ["run", tarball, "--strict"]) },
	{
		name: "Are the types wrong?",
		run: checked("@arethetypeswrong/cli", "dist/index.js", (tarball) => [
			tarball,
			"--profile",
			"esm-only",
			"--exclude-entrypoints",
			"./core.wasm",
		]),
	},
];
