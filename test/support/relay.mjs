// The relays that tests talk to, as processes: the published `moq-relay` and the embedded one of this repository.
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { deadline, run, start } from "../../scripts/process.mjs";
import { need, wasm } from "../../scripts/tools.mjs";

/** A port that nobody listens on. Only for a program that cannot choose one itself. */
async function freePort() {
	const server = createServer();
	await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
	const { port } = server.address();
	await new Promise((resolve) => server.close(resolve));
	return port;
}

/** Resolves once the relay answers over HTTP, which it does after its QUIC socket is bound. */
async function answers(url, ended) {
	let running = true;
	const died = ended.then(({ code }) => {
		running = false;
		throw new Error(`the relay ended at once with exit code ${code}`);
	});
	died.catch(() => {});
	while (running) {
		const response = await Promise.race([fetch(`${url}/certificate.sha256`).catch(() => undefined), died]);
		if (response?.ok) return;
		await Promise.race([new Promise((resolve) => setTimeout(resolve, 50)), died]);
	}
}

/** Keeps the last lines a process logged, to show them when something goes wrong. */
function logTail(limit = 40) {
	const lines = [];
	return {
		add(line) {
			lines.push(line);
			if (lines.length > limit) lines.shift();
		},
		text: () => lines.join("\n"),
	};
}

async function running(name, child, url, log) {
	try {
		await deadline(answers(url, child.ended), 15_000, `the start of ${name}`);
	} catch (error) {
		await child.stop();
		throw new Error(`${error.message}; it logged:\n${log.text()}`);
	}
	return { name, url, pid: child.pid, log: log.text, ended: child.ended, stop: () => child.stop() };
}

/** The command and arguments that run a program on one core only; without a core, on any. */
export const onCore = (core, program, args) =>
	core === undefined ? [program, args] : ["taskset", ["-c", String(core), program, ...args]];

/** Starts the published relay. `versions` restricts what it accepts, `core` where it runs; `args` are further flags. */
export async function startPublishedRelay({ versions = [], args: further = [], core, logs = "info" } = {}) {
	const port = await freePort();
	const log = logTail();
	const at = `127.0.0.1:${port}`;
	const args = [
		"--listen",
		at,
		"--listen-tls-generate",
		"localhost",
		"--web-http-listen",
		at,
		"--auth-public",
		"**",
		...further,
	];
	for (const version of versions) args.push("--listen-version", version);
	const env = { NO_COLOR: "1", RUST_LOG: process.env.RUST_LOG ?? logs };
	const child = start(...onCore(core, await need("moq-relay"), args), { line: log.add, log: log.add, env });
	return running("moq-relay", child, `http://${at}`, log);
}

/** Compiles the embedded relay, or finds it unchanged. Returns the path of the program. */
export async function buildRelay() {
	await run("cargo", ["build", "--release", "--locked", "-p", "moq-worker-relay"], { cwd: wasm });
	const path = join(process.env.CARGO_TARGET_DIR ?? join(wasm, "target"), "release/moq-worker-relay");
	if (!existsSync(path)) throw new Error(`the relay was built, but ${path} is not there`);
	return path;
}

/**
 * Starts the embedded relay, which chooses its own port and says where it listens.
 *
 * @param {{ program?: string, port?: number, args?: string[], core?: number, line?: (text: string) => void }} [options]
 */
export async function startOurRelay({ program, port = 0, args = [], core, line = () => {} } = {}) {
	const path = program ?? (await buildRelay());
	const log = logTail();
	let listening;
	const address = new Promise((resolve) => {
		listening = resolve;
	});
	const child = start(...onCore(core, path, ["--bind", `127.0.0.1:${port}`, ...args]), {
		env: { NO_COLOR: "1" },
		line: (text) => {
			const [, at] = /^relay listening on (\S+)/.exec(text) ?? [];
			if (at) listening(at);
			log.add(text);
			line(text);
		},
		log: log.add,
	});
	const dead = child.ended.then(({ code }) => {
		throw new Error(`the relay ended with exit code ${code}`);
	});
	dead.catch(() => {});
	try {
		const at = await deadline(Promise.race([address, dead]), 15_000, "the start of the relay");
		return await running("embedded", child, `http://${at}`, log);
	} catch (error) {
		await child.stop();
		throw new Error(`${error.message}; it logged:\n${log.text()}`);
	}
}
