// Builds a small app that imports the package by its name, as a user's app does, and serves the result.
import { cpSync } from "node:fs";
import { join } from "node:path";
import { build, preview } from "vite";
import { out } from "../../scripts/tools.mjs";

/**
 * Builds the pages of the app in `root` with Vite and serves them, on `port` or the next free one (0: any). `folders` are
 * served as they are, each under its name.
 */
export async function serveApp(root, name, pages, { port = 0, folders = {} } = {}) {
	const outDir = join(out, name);
	const common = { root, configFile: false, logLevel: "warn", base: "./" };
	const input = pages.map((page) => join(root, page));
	await build({
		...common,
		worker: { format: "es" },
		build: { outDir, emptyOutDir: true, target: "es2022", reportCompressedSize: false, rolldownOptions: { input } },
	});
	for (const [folder, source] of Object.entries(folders)) cpSync(source, join(outDir, folder), { recursive: true });
	// `localhost` is a secure context, which WebTransport asks for.
	const server = await preview({
		...common,
		build: { outDir },
		preview: { host: "127.0.0.1", port, strictPort: false },
	});
	return { url: `http://127.0.0.1:${server.httpServer.address().port}/`, close: () => server.close() };
}
