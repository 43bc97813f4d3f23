// Three ES modules from three entries. The worker is one file with nothing left to import: a bundler, a CDN or a copy
// command can move it as it is. `new URL("./worker.js", import.meta.url)` and the wasm literal stay as written.
import { readFileSync } from "node:fs";
import resolve from "@rollup/plugin-node-resolve";
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
];

/** Rollup warns where a person would have to guess later; a build with such a guess in it is refused. */
const onwarn = (warning) => {
	throw new Error(`${warning.code ?? "warning"}: ${warning.message}`);
};

const output = { dir: "dist", format: "es", sourcemap: true, entryFileNames: "[name].js" };

export default [
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
		input: { index: "src/index.ts", media: "src/media/index.ts" },
		output: { dir: "dist", format: "es", entryFileNames: "[name].d.ts", chunkFileNames: "shared.d.ts" },
		plugins: [dts()],
		onwarn,
	},
];
