// Three ES modules from three entries. The worker is one file with nothing left to import: a bundler, a CDN or a copy
// command can move it as it is. `new URL("./worker.js", import.meta.url)` and the wasm literal stay as written; in a script
// tag's build they are relative to the script's own address.
//
// `--configPart embedded`: what carries the other files inside, which have to be there by then.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import resolve from "@rollup/plugin-node-resolve";
import terser from "@rollup/plugin-terser";
import dts from "rollup-plugin-dts";
import esbuild from "rollup-plugin-esbuild";

const { version } = JSON.parse(readFileSync(new URL("./package.json", import.meta.url), "utf8"));

const plugins = () => [
	resolve({ browser: true }),
	esbuild({
		target: "es2022",
		tsconfig: false,
		minify: true,
		define: { __BUILD_VERSION__: JSON.stringify(version) },
	}),
	// What esbuild has made small gets three per cent smaller still, compressed.
	terser({ ecma: 2022, compress: { passes: 3 } }),
];

/** Puts worker and wasm into the module that says whether they are inside. */
function embed() {
	const target = fileURLToPath(new URL("./src/link/embedded.ts", import.meta.url));
	const file = (name) => readFileSync(new URL(`./dist/${name}`, import.meta.url));
	return {
		name: "embed",
		load(id) {
			if (id !== target) return null;
			// The map of the worker is a file of its own, which an embedded worker does not have.
			const worker = file("worker.js")
				.toString()
				.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "");
			const wasm = gzipSync(file("core_bg.wasm"), { level: 9 }).toString("base64");
			return `export const embedded = ${JSON.stringify({ worker, wasm })};`;
		},
	};
}

/** Rollup warns where a person would have to guess later; a build with such a guess in it is refused. */
const onwarn = (warning) => {
	throw new Error(`${warning.code ?? "warning"}: ${warning.message}`);
};

const output = { dir: "dist", format: "es", sourcemap: true, entryFileNames: "[name].js" };
const script = { ...output, format: "iife", name: "MoqWorker" };

/** Programs are compiled against libraries of TypeScript without these symbols, too. */
const disposal = `declare global {
	interface SymbolConstructor {
		readonly dispose: unique symbol;
		readonly asyncDispose: unique symbol;
	}
}`;

const modules = [
	{
		input: { worker: "worker/index.ts" },
		output: { ...output, inlineDynamicImports: true },
		plugins: plugins(),
		onwarn,
	},
	{
		// Media imports from the page entry, so that a class is the same class whoever imports it, and the page needs one file.
		// What else media takes from there is exported next to the API under short names, which no type declares.
		input: { index: "src/index.ts", media: "src/media/index.ts" },
		preserveEntrySignatures: "allow-extension",
		output: { ...output, manualChunks: { index: ["src/index.ts"] } },
		plugins: plugins(),
		onwarn,
	},
	{
		input: { "moq-worker.core.iife": "src/index.ts" },
		output: script,
		plugins: plugins(),
		onwarn,
	},
	{
		input: { index: "src/index.ts", media: "src/media/index.ts" },
		output: {
			dir: "dist",
			format: "es",
			entryFileNames: "[name].d.ts",
			chunkFileNames: "shared.d.ts",
			banner: (chunk) => (chunk.fileName === "shared.d.ts" ? disposal : ""),
		},
		plugins: [dts()],
		onwarn,
	},
];

const embedded = [
	{
		input: { inline: "src/index.ts" },
		output: { ...output, sourcemap: false },
		plugins: [embed(), ...plugins()],
		onwarn,
	},
	{
		input: { "moq-worker.iife.inline": "src/index.ts" },
		output: { ...script, sourcemap: false },
		plugins: [embed(), ...plugins()],
		onwarn,
	},
];

export default ({ configPart }) => (configPart === "embedded" ? embedded : modules);
