import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";
import { root } from "../../scripts/tools.mjs";

const programs = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/^```ts\n(.*?)^```$/gms)].map(
	([, text]) => text ?? "",
);

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

/** Compiles one text as a file of this repository, where the package's own name leads to its built types. */
function problems(text: string): string[] {
	const file = join(root, "program.ts");
	const host = ts.createCompilerHost(options);
	const { getSourceFile, fileExists, readFile } = host;
	host.fileExists = (name) => name === file || fileExists(name);
	host.readFile = (name) => (name === file ? text : readFile(name));
	host.getSourceFile = (name, language, ...rest) =>
		name === file ? ts.createSourceFile(name, text, language) : getSourceFile(name, language, ...rest);
	const program = ts.createProgram([file], options, host);
	return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}

test("the README has its five programs and the loading recipe", () => {
	expect(programs).toHaveLength(6);
});

test.each(programs.map((text, index) => ({ text, name: index + 1 })))(
	"README program $name compiles against the built types",
	({ text }) => {
		expect(problems(text)).toEqual([]);
	},
	60_000,
);

test("a wrong program is noticed", () => {
	expect(problems('import { connect } from "moq-worker"; connect(17);')).not.toEqual([]);
}, 60_000);
