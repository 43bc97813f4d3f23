// Builds dist/: Rust -> wasm -> bindings -> (with --release) wasm-opt -> rollup -> types. Each step is skipped while what
// it reads is unchanged, so that every other script may simply call it.
//
//   node scripts/build.mjs [--release]
import { createHash } from "node:crypto";
import {
	copyFileSync,
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	renameSync,
	statSync,
	writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { main, run } from "./process.mjs";
import { environment, need, root, wasm } from "./tools.mjs";

const dist = join(root, "dist");
const pkg = join(wasm, "bindings/pkg");
/** Gone with node_modules, so that a fresh install builds afresh. */
const state = join(root, "node_modules/.moq-worker");

const say = (text) => console.log(`build: ${text}`);

/** Every file below these paths, in a fixed order. */
function files(paths) {
	return paths.flatMap((path) => {
		if (!existsSync(path)) return [];
		if (statSync(path).isFile()) return [path];
		return files(
			readdirSync(path)
				.filter((name) => name !== "target" && name !== "node_modules")
				.sort()
				.map((name) => join(path, name)),
		);
	});
}

/** What a step reads, as one short text: the contents, never the times, which a checkout changes. */
function digest(paths, ...words) {
	const hash = createHash("sha256");
	for (const word of words) hash.update(`${word}\0`);
	for (const file of files(paths))
		hash
			.update(`${file.slice(root.length)}\0`)
			.update(readFileSync(file))
			.update("\0");
	return hash.digest("hex");
}

/** Runs a step unless its outputs are there and were made from the same inputs. */
async function step(name, inputs, outputs, body) {
	const stamp = join(state, name);
	if (existsSync(stamp) && readFileSync(stamp, "utf8") === inputs && outputs.every((path) => existsSync(path))) {
		return say(`${name}: unchanged`);
	}
	const began = Date.now();
	await body();
	mkdirSync(state, { recursive: true });
	writeFileSync(stamp, inputs);
	say(`${name}: built in ${((Date.now() - began) / 1000).toFixed(1)} s`);
}

/** Page, worker and core refuse to work with another version of each other, so they are built from one number. */
function checkVersions() {
	const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
	const manifest = readFileSync(join(wasm, "Cargo.toml"), "utf8");
	const [, crates] = /\[workspace\.package\]\s+version = "([^"]+)"/.exec(manifest) ?? [];
	if (crates !== version) {
		throw new Error(`package.json says version ${version}, wasm/Cargo.toml says ${crates}: make them the same`);
	}
	return version;
}

/** The core as WebAssembly with its JavaScript glue, in wasm/bindings/pkg. */
async function core({ faulty = false } = {}) {
	const sources = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo"].map((name) => join(wasm, name));
	for (const crate of ["kio", "moq-net", "bindings"]) {
		sources.push(join(wasm, crate, "Cargo.toml"), join(wasm, crate, "src"));
	}
	const folder = faulty ? `${pkg}-faulty` : pkg;
	const outputs = [join(folder, "core.js"), join(folder, "core_bg.wasm")];
	await step(faulty ? "faulty core" : "core", digest(sources), outputs, async () => {
		const wasmPack = await need("wasm-pack");
		await need("wasm-bindgen");
		const args = ["build", "bindings", "--target", "web", "--out-dir", folder, "--out-name", "core"];
		args.push("--no-pack", "--mode", "no-install");
		// Panics name their source file; without this they would name the folders of whoever built it.
		const cargoHome = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
		const remap = [`${wasm}/=`, `${join(cargoHome, "registry/src")}/=`].map((pair) => `--remap-path-prefix=${pair}`);
		const config = `target.wasm32-unknown-unknown.rustflags=${JSON.stringify(remap)}`;
		await run(
			wasmPack,
			[
				...args,
				"--profile",
				"wasm",
				"--no-opt",
				"--",
				"--locked",
				"--config",
				config,
				...(faulty ? ["--features", "fault-injection"] : []),
			],
			{
				cwd: wasm,
				env: await environment(),
			},
		);
		checkCore(join(folder, "core_bg.wasm"), faulty);
	});
}

/** The core holds a fault exactly when it should, may import from its glue only (`env` is a symbol that the linker could not find), and tells nobody's folders. */
function checkCore(path, faulty) {
	const bytes = readFileSync(path);
	const module = new WebAssembly.Module(bytes);
	if (WebAssembly.Module.exports(module).some(({ name }) => name === "injectPanic") !== faulty) {
		throw new Error(faulty ? "the faulty core cannot be made to panic" : "the core holds a fault for tests");
	}
	const imports = WebAssembly.Module.imports(module);
	const strange = imports.filter((item) => !item.module.startsWith("./core_bg"));
	if (strange.length > 0) {
		const names = strange.map((item) => `${item.module}.${item.name}`).join(", ");
		throw new Error(`the core imports ${names}, which no browser has`);
	}
	const folder = [`${homedir()}/`, root].find((name) => bytes.includes(name));
	if (folder) throw new Error(`the core holds the path ${folder} of this machine`);
}

/** A core that can be made to panic, in wasm/bindings/pkg-faulty, for the tests in a browser. */
export async function faultyCore() {
	await core({ faulty: true });
}

/** dist/core_bg.wasm: as compiled, or made small for a release, which takes binaryen some seconds. */
async function shrink(release) {
	const raw = join(pkg, "core_bg.wasm");
	mkdirSync(dist, { recursive: true });
	const target = join(dist, "core_bg.wasm");
	if (!release) return copyFileSync(raw, target);
	// Measured on this core, gzip: 248 kB at -O1, 266 kB at -Os, whose fewer bytes hardly compress. Functions that were
	// generated from one source compress better side by side: 239 kB.
	const passes = ["-O1", "--dae-optimizing", "--duplicate-function-elimination", "--reorder-functions-by-name"];
	passes.push("--strip-debug", "--strip-producers");
	const binaryen = readFileSync(join(root, "node_modules/binaryen/package.json"), "utf8");
	const key = digest([raw], ...passes, binaryen).slice(0, 16);
	const kept = join(state, "core_opt.wasm");
	await step("wasm-opt", key, [kept], async () => {
		const part = `${kept}.part`;
		mkdirSync(state, { recursive: true });
		// The features that rustc enables for this target; binaryen asks for each by name.
		const features = [
			"bulk-memory",
			"bulk-memory-opt",
			"multivalue",
			"mutable-globals",
			"nontrapping-float-to-int",
			"reference-types",
			"sign-ext",
		];
		const args = [
			join(root, "node_modules/binaryen/bin/wasm-opt"),
			...passes,
			...features.map((name) => `--enable-${name}`),
			raw,
			"-o",
			part,
		];
		await run(process.execPath, args);
		renameSync(part, kept);
	});
	copyFileSync(kept, target);
}

/** dist/*.js and dist/*.d.ts. */
async function bundle(version) {
	const inputs = ["src", "worker", "rollup.config.mjs", "tsconfig.json", "package-lock.json"].map((name) =>
		join(root, name),
	);
	const outputs = ["index", "media", "worker"].flatMap((name) => [
		join(dist, `${name}.js`),
		join(dist, `${name}.d.ts`),
	]);
	outputs.push(join(dist, "moq-worker.core.iife.js"), join(dist, "inline.d.ts"), join(dist, "ts5.6/index.d.ts"));
	await step(
		"bundle",
		digest([...inputs, join(pkg, "core.js"), join(pkg, "core.d.ts")], version),
		outputs,
		async () => {
			await run(process.execPath, [join(root, "node_modules/rollup/dist/bin/rollup"), "-c", "--silent"], { cwd: root });
			checkWorker(join(dist, "worker.js"), version);
			// Nothing is imported from a worker; the entry has a type so that its URL can be resolved by name.
			writeFileSync(join(dist, "worker.d.ts"), "export {};\n");
			writeFileSync(join(dist, "inline.d.ts"), 'export * from "./index.js";\n');
			oldTypes();
		},
	);
}

/** The same types for TypeScript before 5.7, whose byte arrays are not generic. */
function oldTypes() {
	mkdirSync(join(dist, "ts5.6"), { recursive: true });
	for (const name of readdirSync(dist).filter((name) => name.endsWith(".d.ts"))) {
		const text = readFileSync(join(dist, name), "utf8").replaceAll(/\bUint8Array<\w+>/g, "Uint8Array");
		writeFileSync(join(dist, "ts5.6", name), text);
	}
}

/** What carries worker and wasm inside, and the hashes of everything a page may load from elsewhere. */
async function embedded() {
	const names = ["inline.js", "moq-worker.iife.inline.js"];
	const inputs = ["src", "worker", "rollup.config.mjs", "package-lock.json"].map((name) => join(root, name));
	inputs.push(...["index.js", "worker.js", "core_bg.wasm"].map((name) => join(dist, name)));
	const outputs = [...names, "integrity.json"].map((name) => join(dist, name));
	await step("embedded", digest(inputs), outputs, async () => {
		const rollup = join(root, "node_modules/rollup/dist/bin/rollup");
		await run(process.execPath, [rollup, "-c", "--configPart", "embedded", "--silent"], { cwd: root });
		const loaded = ["index.js", "media.js", "worker.js", "core_bg.wasm", "moq-worker.core.iife.js", ...names];
		const hashes = loaded.map((name) => [name, integrity(readFileSync(join(dist, name)))]);
		writeFileSync(join(dist, "integrity.json"), `${JSON.stringify(Object.fromEntries(hashes), null, "\t")}\n`);
	});
}

/** As in the `integrity` attribute of a script. */
const integrity = (bytes) => `sha384-${createHash("sha384").update(bytes).digest("base64")}`;

/** The worker must stand alone and carry the version that the page will ask for. */
function checkWorker(path, version) {
	const text = readFileSync(path, "utf8");
	if (/^import\b|\bfrom\s*["']\.|\bimport\s*\(/m.test(text))
		throw new Error("dist/worker.js imports another file; it must be one piece");
	if (!text.includes(version)) throw new Error(`dist/worker.js does not carry the version ${version}`);
}

/** Brings dist/ up to date. */
export async function build({ release = false } = {}) {
	const version = checkVersions();
	await core();
	await shrink(release);
	await bundle(version);
	await embedded();
	return version;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	main(async () => {
		const version = await build({ release: process.argv.includes("--release") });
		say(`dist/ is version ${version}`);
	});
}
