// The report of what the package exports, as its users see it: `docs/report/*.api.md`, made from the type declarations in dist/.
// A change of the API changes the report, and a review sees it.
//
//   node scripts/api.mjs [--check]     writes the reports, or fails where they are not up to date
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Extractor, ExtractorConfig } from "@microsoft/api-extractor";
import { main, run } from "./process.mjs";
import { root } from "./tools.mjs";

const entries = ["index", "media"];

/** The names that the package exports from its main entry: the others import them from there. */
function exported() {
	const report = readFileSync(join(root, "docs/report/index.api.md"), "utf8");
	return new Set([...report.matchAll(/^export (?:abstract )?\w+ (\w+)/gm)].map(([, name]) => name));
}

/** Makes the report of one entry; `folder` is where the accepted one is. Returns what is wrong, one line each. */
function report(entry, folder, temporary, check) {
	const problems = [];
	const known = entry === "index" ? new Set() : exported();
	const config = ExtractorConfig.prepare({
		configObject: {
			projectFolder: root,
			mainEntryPointFilePath: join(root, `dist/${entry}.d.ts`),
			compiler: { tsconfigFilePath: join(root, "tsconfig.json") },
			apiReport: { enabled: true, reportFileName: entry, reportFolder: folder, reportTempFolder: temporary },
			docModel: { enabled: false },
			dtsRollup: { enabled: false },
			tsdocMetadata: { enabled: false },
			newlineKind: "lf",
			messages: {
				// No release tags: what is exported is public.
				extractorMessageReporting: { default: { logLevel: "error" }, "ae-missing-release-tag": { logLevel: "none" } },
				// The doc comments are for people and their editors; TypeScript reads `{@link}` in its own way.
				tsdocMessageReporting: { default: { logLevel: "none" } },
				compilerMessageReporting: { default: { logLevel: "error" } },
			},
		},
		configObjectFullPath: undefined,
		packageJsonFullPath: join(root, "package.json"),
	});
	const result = Extractor.invoke(config, {
		localBuild: !check,
		messageCallback(message) {
			message.handled = true;
			const [, name] = /^The symbol "(\w+)" needs to be exported/.exec(message.text) ?? [];
			if (message.logLevel !== "error" || known.has(name)) return;
			const place = message.sourceFilePath
				? ` (${message.sourceFilePath.replace(`${root}/`, "")}:${message.sourceFileLine})`
				: "";
			problems.push(`${entry}: ${message.text}${place}`);
		},
	});
	if (check && result.apiReportChanged) problems.push(`${entry}: the API differs from its report; run: npm run api`);
	return problems;
}

main(async () => {
	const check = process.argv.includes("--check");
	await run(process.execPath, [join(root, "scripts/build.mjs")]);
	const temporary = mkdtempSync(join(tmpdir(), "moq-worker-api-"));
	try {
		const problems = entries.flatMap((entry) => report(entry, join(root, "docs/report"), temporary, check));
		for (const problem of problems) console.log(`api: ${problem}`);
		if (problems.length > 0) throw new Error(`${problems.length} problems`);
		const lines = entries.map(
			(entry) => readFileSync(join(root, `docs/report/${entry}.api.md`), "utf8").split("\n").length,
		);
		console.log(
			`api: ${entries.length} entries, ${lines.join(" and ")} lines of report, ${check ? "up to date" : "written"}`,
		);
	} finally {
		rmSync(temporary, { recursive: true });
	}
});
