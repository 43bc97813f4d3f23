import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { beforeAll, expect, test } from "vitest";
import { root } from "../../scripts/tools.mjs";

/** The programs in a page of documentation. */
const programsIn = (page: string) =>
	[...readFileSync(join(root, page), "utf8").matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text = ""], index) => ({
		name: `${page} ${index + 1}`,
		text,
	}));

const programs = [...programsIn("README.md"), ...programsIn("docs/api.md")];

const options: ts.CompilerOptions = {
	target: ts.ScriptTarget.ES2022,
	lib: [
		"lib.es2023.d.ts",
		"lib.dom.d.ts",
		"lib.dom.iterable.d.ts",
		"lib.dom.asynciterable.d.ts",
		"lib.esnext.disposable.d.ts",
	],
	module: ts.ModuleKind.ESNext,
	moduleResolution: ts.ModuleResolutionKind.Bundler,
	types: [],
	strict: true,
	noEmit: true,
	// What the package ships is checked like the program itself.
	skipLibCheck: false,
};

/**
 * What is wrong with each of these texts, compiled as files of this repository, where the package's own name leads to its built
 * types; and, last, with those.
 */
function problems(texts: string[]): string[][] {
	const files = new Map(texts.map((text, index) => [join(root, `program-${index}.ts`), text]));
	const host = ts.createCompilerHost(options);
	const { getSourceFile, fileExists, readFile } = host;
	host.fileExists = (name) => files.has(name) || fileExists(name);
	host.readFile = (name) => files.get(name) ?? readFile(name);
	host.getSourceFile = (name, language, ...rest) => {
		const text = files.get(name);
		return text === undefined ? getSourceFile(name, language, ...rest) : ts.createSourceFile(name, text, language);
	};
	const names = [...files.keys()];
	const found: string[][] = [...names, "elsewhere"].map(() => []);
	for (const { file, messageText } of ts.getPreEmitDiagnostics(ts.createProgram(names, options, host))) {
		const index = file ? names.indexOf(file.fileName) : -1;
		found.at(index)?.push(ts.flattenDiagnosticMessageText(messageText, "\n"));
	}
	return found;
}

const wrong = 'import { connect } from "moq-worker"; connect(17);';
let found: string[][];

beforeAll(() => {
	found = problems([...programs.map(({ text }) => text), wrong]);
}, 120_000);

test("the README has its five programs and the loading recipe, the page about the API four", () => {
	expect(programs).toHaveLength(6 + 4);
});

test.each(programs.map(({ name }, index) => ({ name, index })))(
	"program $name compiles against the built types",
	({ index }) => {
		expect(found[index]).toEqual([]);
	},
);

test("the built types compile by themselves", () => {
	expect(found.at(-1)).toEqual([]);
});

test("a wrong program is noticed", () => {
	expect(found.at(-2)).not.toEqual([]);
});
