// Runs one project of vitest and counts from its report.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { start } from "./process.mjs";
import { out, root } from "./tools.mjs";

/** The projects of vitest.config.ts. */
export const projects = ["node", "browser"];

/** Where the report on a project lies; `kind` tells runs for different ends apart. */
export const reportOf = (project, kind = "vitest") => join(out, `${kind}-${project}.json`);

/** Runs `files` of a project (all when there are none) and gives the counts; the report lies at `reportOf` then. */
export async function vitest(project, { files = [], kind } = {}) {
	const report = reportOf(project, kind);
	mkdirSync(out, { recursive: true });
	rmSync(report, { force: true });
	const program = join(root, "node_modules/vitest/vitest.mjs");
	const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
	const args = [program, "run", "--project", project, ...reporters, ...files];
	const child = start(process.execPath, args, { cwd: root, line: console.log, log: console.error });
	const { code } = await child.ended;
	let counts = { passed: 0, failed: 0 };
	try {
		const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, "utf8"));
		counts = { passed: numPassedTests, failed: numFailedTests };
	} catch (error) {
		console.error(`the report of the ${project} project cannot be read: ${error.message}`);
	}
	// An unhandled rejection or a file that does not load fails the run without a failing test.
	if (code !== 0 && counts.failed === 0) counts.failed = 1;
	return counts;
}
