// Where things are: the folders of the repository, and the command line tools with the versions everything is built with.
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ask } from "./process.mjs";

/** The top of the repository. */
export const root = fileURLToPath(new URL("..", import.meta.url));
/** The Cargo workspace. */
export const wasm = join(root, "wasm");
/** Outputs of test runs: screenshots, logs, browser profiles. Not kept in git. */
export const out = join(root, "test/.out");

/** Tools built once per user, so that a fresh clone on the same machine finds them. */
export const cache =
	process.env.MOQ_WORKER_TOOLS ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "moq-worker/tools");

/** The programs that are used at one exact version, and where each comes from; `quick` ones are compiled in a hurry. */
export const pinned = {
	"wasm-bindgen": {
		crate: "wasm-bindgen-cli",
		version: "0.2.130",
		programs: ["wasm-bindgen", "wasm-bindgen-test-runner"],
		quick: true,
		prebuilt: (v, arch) =>
			`https://github.com/wasm-bindgen/wasm-bindgen/releases/download/${v}/wasm-bindgen-${v}-${arch}-unknown-linux-musl.tar.gz`,
	},
	"wasm-pack": {
		crate: "wasm-pack",
		version: "0.15.1",
		programs: ["wasm-pack"],
		quick: true,
		prebuilt: (v, arch) =>
			`https://github.com/wasm-bindgen/wasm-pack/releases/download/v${v}/wasm-pack-v${v}-${arch}-unknown-linux-musl.tar.gz`,
	},
	"moq-relay": {
		crate: "moq-relay",
		version: "0.17.10",
		programs: ["moq-relay"],
		features: ["noq", "websocket"],
	},
	moq: {
		crate: "moq-cli",
		version: "0.14.10",
		programs: ["moq"],
		features: ["noq", "websocket"],
		quick: true,
	},
};

/** The path of a pinned program at its exact version, or undefined. */
export async function find(name) {
	const { version } = pinned[name];
	for (const folder of [
		...(process.env.PATH ?? "").split(delimiter),
		join(homedir(), ".cargo/bin"),
		join(cache, "bin"),
	]) {
		const path = join(folder, name);
		if (!folder || !existsSync(path)) continue;
		const answer = await ask(path, ["--version"]);
		if (answer?.split(/\s+/).includes(version)) return path;
	}
	return undefined;
}

/** The path of a pinned program, or an error that says how to get it. */
export async function need(name) {
	const path = await find(name);
	if (!path) throw new Error(`${name} ${pinned[name].version} is missing: run \`npm run setup\``);
	return path;
}

/** The environment in which wasm-pack finds the right wasm-bindgen and cargo finds itself. */
export async function environment() {
	const folders = [];
	for (const name of ["wasm-bindgen", "wasm-pack"]) {
		const path = await find(name);
		if (path) folders.push(join(path, ".."));
	}
	folders.push(join(root, "node_modules/.bin"), process.env.PATH ?? "", join(homedir(), ".cargo/bin"));
	return { PATH: folders.join(delimiter) };
}
