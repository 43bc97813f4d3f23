// Browsers besides the one that runs the tests: to be killed, or with a page that is no secure context.
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { type BrowserServer, chromium, type Page } from "playwright";
import type { BrowserCommand } from "vitest/node";
import { chromiumArgs, chromiumPath } from "../../scripts/chromium.mjs";
import { root } from "../../scripts/tools.mjs";

/** A name that leads here, and is neither an https page nor a local one. */
const INSECURE_HOST = "insecure.test";

const TYPES: Record<string, string> = { ".js": "text/javascript", ".wasm": "application/wasm" };

interface Running {
	browser: BrowserServer;
	page: Page;
	files: Server;
}

const browsers = new Map<string, Running>();

/** Serves an empty page, and the built package. */
async function serve(): Promise<Server> {
	const dist = join(root, "dist");
	const server = createServer(async (request, response) => {
		const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://here").pathname));
		if (path === "/") return response.setHeader("content-type", "text/html").end("<!doctype html><title>page</title>");
		const body = await readFile(join(dist, path)).catch(() => undefined);
		if (!body) return response.writeHead(404).end();
		return response.setHeader("content-type", TYPES[extname(path)] ?? "text/plain").end(body);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return server;
}

/** Starts a browser with an empty page; resolves to its name. */
export const startBrowser: BrowserCommand<[options?: { isInsecure?: boolean }]> = async (_, { isInsecure } = {}) => {
	const files = await serve();
	const args = [...chromiumArgs(), `--host-resolver-rules=MAP ${INSECURE_HOST} 127.0.0.1`];
	const browser = await chromium.launchServer({
		executablePath: chromiumPath(),
		headless: true,
		args,
		// Pages may be kept when they are left, as for people.
		ignoreDefaultArgs: ["--disable-back-forward-cache"],
	});
	const page = await (await chromium.connect(browser.wsEndpoint())).newPage();
	const host = isInsecure ? INSECURE_HOST : "127.0.0.1";
	await page.goto(`http://${host}:${(files.address() as AddressInfo).port}/`);
	const name = browser.wsEndpoint();
	browsers.set(name, { browser, page, files });
	return name;
};

/** Runs a program in the page, with `moq` and `media` as what the package exports and `args` as given; resolves to what it returns. */
export const runInBrowser: BrowserCommand<[name: string, program: string, args?: object]> = async (
	_,
	name,
	program,
	args = {},
) => {
	const open = browsers.get(name);
	if (!open) throw new Error(`there is no browser ${name}`);
	const names = JSON.stringify(args);
	return await open.page.evaluate(
		`(async () => { const moq = await import("/index.js"); const media = await import("/media.js"); const args = ${names}; ${program} })()`,
	);
};

/** Goes to another page and back to this one. Resolves to whether the page came back as it was. */
export const leaveAndReturn: BrowserCommand<[name: string, away: string]> = async (_, name, away) => {
	const open = browsers.get(name);
	if (!open) throw new Error(`there is no browser ${name}`);
	await open.page.evaluate("addEventListener('pageshow', ({ persisted }) => { globalThis.persisted = persisted; })");
	await open.page.goto(away);
	await open.page.goBack({ waitUntil: "commit" });
	return await open.page.evaluate("globalThis.persisted === true");
};

/** Ends a browser as `kill -9` does. */
export const killBrowser: BrowserCommand<[name: string]> = async (_, name) => {
	const open = browsers.get(name);
	if (!open) return;
	browsers.delete(name);
	await open.browser.kill();
	open.files.close();
};

declare module "vitest/browser" {
	interface BrowserCommands {
		startBrowser(options?: { isInsecure?: boolean }): Promise<string>;
		runInBrowser(name: string, program: string, args?: object): Promise<unknown>;
		killBrowser(name: string): Promise<void>;
		leaveAndReturn(name: string, away: string): Promise<boolean>;
	}
}
