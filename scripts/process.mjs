// Child processes. Each one leads a process group of its own, and every group ends when this process ends, however it
// ends: nothing that a script started outlives it.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { createInterface } from "node:readline";

/** Groups that are still running, by the process id of their leader. */
const running = new Set();

/** Signals the whole group; a group that has ended already is no error. */
function signal(pid, name) {
	try {
		process.kill(-pid, name);
	} catch (error) {
		if (error.code !== "ESRCH") throw error;
	}
}

process.on("exit", () => {
	for (const pid of running) signal(pid, "SIGKILL");
});
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) {
	process.on(name, () => {
		// A script that has something to say at the end listens as well, and then ends the process itself.
		if (process.listenerCount(name) === 1) process.exit(128 + constants.signals[name]);
	});
}

function launch(command, args, options) {
	const child = spawn(command, args, {
		cwd: options.cwd,
		env: { ...process.env, ...options.env },
		stdio: options.stdio,
		detached: true,
	});
	const ended = new Promise((resolve, reject) => {
		child.once("error", (error) =>
			reject(error.code === "ENOENT" ? new Error(`${command} is not installed, or not on the PATH`) : error),
		);
		child.once("close", (code, signalName) => {
			// What the leader left behind goes too.
			if (child.pid) signal(child.pid, "SIGKILL");
			running.delete(child.pid);
			resolve({ code: code ?? 128 + constants.signals[signalName], signal: signalName });
		});
	});
	if (child.pid) running.add(child.pid);
	return { child, ended };
}

/** The last `count` lines of a text. */
const tail = (text, count) => text.trimEnd().split("\n").slice(-count).join("\n");

/**
 * Runs a command to its end and rejects unless it succeeded.
 *
 * With `quiet` its output is shown only when it fails. Resolves to what it wrote to stdout (empty unless quiet).
 */
export async function run(command, args = [], { cwd, env, quiet = false, timeoutMs } = {}) {
	const stdio = quiet ? ["ignore", "pipe", "pipe"] : ["ignore", "inherit", "inherit"];
	const { child, ended } = launch(command, args, { cwd, env, stdio });
	let stdout = "";
	let all = "";
	child.stdout?.on("data", (data) => {
		stdout += data;
		all += data;
	});
	child.stderr?.on("data", (data) => {
		all += data;
	});
	const timer = timeoutMs && setTimeout(() => signal(child.pid, "SIGKILL"), timeoutMs);
	const { code } = await ended.finally(() => clearTimeout(timer));
	if (code !== 0) {
		const shown = quiet && all ? `:\n${tail(all, 60)}` : "";
		throw new Error(`\`${[command, ...args].join(" ")}\` failed (exit code ${code})${shown}`);
	}
	return stdout;
}

/** What a command prints, or undefined where it is missing or fails: for questions like `--version`. */
export async function ask(command, args, options = {}) {
	try {
		return (await run(command, args, { ...options, quiet: true, timeoutMs: 20_000 })).trim();
	} catch {
		return undefined;
	}
}

/**
 * Starts a command that goes on until it is stopped.
 *
 * `line` is called with each line of its stdout, `log` with each line of its stderr. `ended` resolves to `{code, signal}`.
 */
export function start(command, args = [], { cwd, env, line = () => {}, log = () => {} } = {}) {
	const { child, ended } = launch(command, args, { cwd, env, stdio: ["pipe", "pipe", "pipe"] });
	createInterface({ input: child.stdout }).on("line", line);
	createInterface({ input: child.stderr }).on("line", log);
	// A process that ends while it is being written to says so by `ended`; the broken pipe adds nothing.
	child.stdin.on("error", () => {});
	return {
		pid: child.pid,
		stdin: child.stdin,
		stdout: child.stdout,
		ended,
		/** Asks the group to end, and makes it end after two seconds. */
		async stop() {
			if (!running.has(child.pid)) return;
			signal(child.pid, "SIGTERM");
			const timer = setTimeout(() => signal(child.pid, "SIGKILL"), 2000);
			await ended.finally(() => clearTimeout(timer));
		},
	};
}

/** A promise that rejects after `ms`, naming what was waited for; the timer does not hold the process. */
export function deadline(promise, ms, what) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`${what} did not happen within ${ms / 1000} s`)), ms);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Ends the script with the sentence of an error instead of a stack trace. */
export function main(body) {
	body().then(
		(code) => process.exit(code ?? 0),
		(error) => {
			console.error(process.env.DEBUG ? error : `error: ${error.message}`);
			process.exit(1);
		},
	);
}
