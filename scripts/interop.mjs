// Our package and our relay against the published peers.
//
//   node scripts/interop.mjs           pages of every pair of peers through both relays, and the Rust crate in process
//   node scripts/interop.mjs --media   ffmpeg and the published command line tool to our page, through both relays
import { join } from "node:path";
import { build } from "./build.mjs";
import { main, run } from "./process.mjs";
import { setup } from "./setup.mjs";
import { table } from "./table.mjs";
import { wasm } from "./tools.mjs";

const say = (text) => console.log(`interop: ${text}`);

/** The published crate in process, over an in-memory transport. Resolves to the number of tests that passed. */
async function crate() {
	say("the published moq-net crate, in process");
	const text = await run("cargo", ["test", "--locked"], { cwd: join(wasm, "interop"), quiet: true });
	const passed = [...text.matchAll(/test result: ok\. (\d+) passed/g)].reduce(
		(sum, match) => sum + Number(match[1]),
		0,
	);
	if (passed === 0) throw new Error("the crate's interop tests did not run");
	for (const line of text.split("\n").filter((line) => /^test .* ok$/.test(line))) say(line);
	return passed;
}

main(async () => {
	const media = process.argv.includes("--media");
	await setup("rust", "npm", "wasm", "chromium", "relay", ...(media ? ["media"] : []));
	await build();
	if (media) {
		const { pictures } = await import("../test/interop/pictures.mjs");
		const { rows, failed } = await pictures({ say });
		console.log(`\n${table(["relay", "input", "version", "transport", "decoded", "drawn", "screenshot"], rows)}\n`);
		console.log(`interop --media: ${rows.length - failed} passed, ${failed} failed`);
		return failed === 0 ? 0 : 1;
	}
	const passed = await crate();
	const { matrix } = await import("../test/interop/matrix.mjs");
	const { rows, failed } = await matrix({ say });
	console.log(`\n${table(["version", "transport", "direction", "frames"], rows)}\n`);
	console.log(`interop: ${rows.length - failed + passed} passed, ${failed} failed`);
	return failed === 0 ? 0 : 1;
});
