// Brings a machine with Node >= 20 and rustup to the state in which everything builds and runs. Plain Node: works on a
// fresh clone, before `npm ci`. Skips what is there, says what it does, asks for root only for a missing system package.
//
//   node scripts/setup.mjs [--only=rust,npm,wasm,chromium,relay,media]
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findChromium } from "./chromium.mjs";
import { ask, main, run } from "./process.mjs";
import { cache, find, pinned, root, wasm } from "./tools.mjs";

const say = (part, text) => console.log(`setup: ${part.padEnd(14)} ${text}`);

/** Node itself, so that an old one fails with a sentence instead of a syntax error in a dependency. */
function checkNode() {
	const [major, minor] = process.versions.node.split(".").map(Number);
	if (major < 20 || (major === 20 && minor < 19)) {
		throw new Error(`Node ${process.versions.node} is too old: install Node 20.19 or newer (https://nodejs.org)`);
	}
}

/** What all builds and tests of a fresh clone write, in GB. */
const space = 5.6;

/** A full disk makes every tool fail in words of its own: say first what is too little. */
function checkDisk() {
	const { bavail, bsize } = statfsSync(root);
	const free = (bavail * bsize) / 1e9;
	if (free >= space || existsSync(join(wasm, "target"))) return;
	say("disk", `only ${free.toFixed(1)} GB are free: \`npm test\` of a fresh clone writes ${space} GB, and may fail`);
}

/** The toolchain that everything is built with. */
const toolchain = () => /channel = "(.+)"/.exec(readFileSync(join(wasm, "rust-toolchain.toml"), "utf8"))[1];

/** The pinned toolchain with the browser's target. rustup fetches what is missing into the user's home. */
async function rust() {
	const channel = toolchain();
	if (!(await ask("rustup", ["--version"]))) {
		throw new Error("rustup is missing: install it from https://rustup.rs, open a new shell and run this again");
	}
	const has = async (kind, name) =>
		((await ask("rustup", [kind, "list", "--installed", "--toolchain", channel])) ?? "")
			.split(/\s+/)
			.some((word) => word.startsWith(name));
	const complete =
		(await has("target", "wasm32-unknown-unknown")) &&
		(await has("component", "clippy")) &&
		(await has("component", "rustfmt"));
	if (complete) {
		say("rust", `${channel} with wasm32-unknown-unknown is there`);
	} else {
		say("rust", `installing toolchain ${channel} with wasm32-unknown-unknown`);
		const parts = ["--component", "clippy", "--component", "rustfmt", "--target", "wasm32-unknown-unknown"];
		await run("rustup", ["toolchain", "install", channel, "--profile", "minimal", ...parts]);
	}
	if (!(await ask("cc", ["--version"]))) await system("a C compiler", ["build-essential"]);
}

/** The packages of the lock file; again only when the lock file has changed. */
async function npm() {
	const stamp = join(root, "node_modules/.moq-worker-lock");
	const lock = createHash("sha256")
		.update(readFileSync(join(root, "package-lock.json")))
		.digest("hex");
	if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock)
		return say("npm", "packages of the lock file are there");
	say("npm", "installing the packages of the lock file (npm ci)");
	// The tests use the system's Chromium.
	await run("npm", ["ci", "--no-audit", "--no-fund"], {
		cwd: root,
		quiet: true,
		env: { PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD: "1" },
	});
	// npm leaves a platform's optional package out without a word; rollup and vite then fail far from the cause.
	createRequire(join(root, "package.json")).resolve("rollup");
	writeFileSync(stamp, lock);
}

/** A released binary of the tool, where the release server can be reached at all: no error if not. */
async function download(name) {
	const { prebuilt, version, programs } = pinned[name];
	const arch = { x64: "x86_64", arm64: "aarch64" }[process.arch];
	if (!prebuilt || !arch || process.platform !== "linux") return false;
	const folder = join(cache, "download", name);
	rmSync(folder, { recursive: true, force: true });
	mkdirSync(folder, { recursive: true });
	const archive = join(folder, "archive.tar.gz");
	const url = prebuilt(version, arch);
	const fetched = await ask("curl", ["-fsSL", "--connect-timeout", "5", "--max-time", "18", "-o", archive, url]);
	if (fetched === undefined) {
		rmSync(folder, { recursive: true, force: true });
		return false;
	}
	await run("tar", ["-xzf", archive, "-C", folder, "--strip-components=1"], { quiet: true });
	mkdirSync(join(cache, "bin"), { recursive: true });
	for (const program of programs) {
		await run("install", ["-m", "755", join(folder, program), join(cache, "bin", program)], { quiet: true });
	}
	rmSync(folder, { recursive: true, force: true });
	return (await find(name)) !== undefined;
}

/** A pinned program: found at its version, else downloaded, else compiled into the user's cache. */
async function program(name) {
	const { crate, version, features, quick } = pinned[name];
	const path = await find(name);
	if (path) return say(name, `${version} is at ${path}`);
	say(name, `${version} is missing; looking for a released binary`);
	if (await download(name)) return say(name, `${version} downloaded to ${join(cache, "bin")}`);
	say(name, `compiling ${crate} ${version} into ${cache} (some minutes, once per machine)`);
	const args = ["install", crate, "--version", version, "--root", cache, "--force"];
	if (features) args.push("--no-default-features", "--features", features.join(","));
	// Optimisation of a tool that runs for seconds costs more than it gives; the peers of the benchmark need theirs.
	const env = {
		CARGO_PROFILE_RELEASE_LTO: "off",
		CARGO_TARGET_DIR: join(cache, "target"),
		// The user's default may be another one, or none.
		RUSTUP_TOOLCHAIN: toolchain(),
	};
	if (quick) Object.assign(env, { CARGO_PROFILE_RELEASE_OPT_LEVEL: "1", CARGO_PROFILE_RELEASE_DEBUG: "0" });
	// The lock file of the release is the tested one; a crate in it may have been withdrawn since.
	try {
		await run("cargo", [...args, "--locked"], { quiet: true, env });
	} catch (error) {
		if (!/failed to (select|download|get)|no matching package|yanked/.test(error.message)) throw error;
		say(name, "its own lock file does not resolve any more; taking the newest compatible crates");
		await run("cargo", args, { env });
	}
	rmSync(join(cache, "target"), { recursive: true, force: true });
	if (!(await find(name)))
		throw new Error(`${crate} was installed, but ${join(cache, "bin", name)} does not report ${version}`);
}

/** A system package through apt-get, which is the only step that may need root. */
async function system(what, packages) {
	const command = `apt-get install --yes --no-install-recommends ${packages.join(" ")}`;
	if (!(await ask("apt-get", ["--version"]))) {
		throw new Error(
			`${what} is missing and this is no Debian-like system: install it with your package manager and run this again`,
		);
	}
	const isRoot = process.getuid?.() === 0;
	// Without a terminal there is nobody to type a password, so sudo may only be tried where it asks for none.
	const sudo = isRoot ? [] : ["sudo", ...(process.stdin.isTTY ? [] : ["--non-interactive"])];
	const asRoot = (words) => {
		const [first, ...rest] = [...sudo, "env", "DEBIAN_FRONTEND=noninteractive", ...words.split(" ")];
		return run(first, rest, { quiet: isRoot });
	};
	say(what, `missing; running ${[...sudo, command].join(" ")}`);
	try {
		// A fresh system has no package lists, and old ones name packages that the mirrors no longer hold.
		await asRoot("apt-get update");
		await asRoot(command);
	} catch (error) {
		throw new Error(
			`${what} could not be installed; run \`sudo apt-get update && sudo ${command}\` yourself and try again (${error.message})`,
		);
	}
}

/** What can be asked for by name, in the order in which one needs the other. */
const parts = {
	rust,
	npm,
	async wasm() {
		await program("wasm-bindgen");
		await program("wasm-pack");
	},
	async chromium() {
		if (findChromium()) return say("chromium", `is at ${findChromium()}`);
		await system("chromium", ["chromium"]);
		if (!findChromium()) throw new Error("Chromium was installed but not found: set CHROMIUM_PATH to its program file");
	},
	relay: () => program("moq-relay"),
	async media() {
		if (await ask("ffmpeg", ["-version"])) say("ffmpeg", "is there");
		else await system("ffmpeg", ["ffmpeg"]);
		await program("moq");
	},
};

/** Sets up the parts of these names. */
export async function setup(...names) {
	checkNode();
	checkDisk();
	for (const name of names) {
		const part = parts[name];
		if (!part) throw new Error(`there is no part "${name}"; the parts are ${Object.keys(parts).join(", ")}`);
		await part();
	}
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	main(async () => {
		const only = process.argv.slice(2).find((arg) => arg.startsWith("--only="));
		const unknown = process.argv.slice(2).find((arg) => arg !== only);
		if (unknown)
			throw new Error(`unknown argument ${unknown}; usage: npm run setup -- [--only=${Object.keys(parts).join(",")}]`);
		const names = only ? only.slice("--only=".length).split(",") : Object.keys(parts);
		await setup(...names);
		say("done", names.join(", "));
	});
}
