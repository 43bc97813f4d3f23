// Our package and our relay against the published peers.
//
//   node scripts/interop.mjs           pages of every pair of peers through both relays and relays in a row, and the Rust crate in process
//   node scripts/interop.mjs --media   ffmpeg and the published command line tool to our page, through both relays
import { join } from "node:path";
import { build } from "./build.mjs";
import { cargoTest } from "./cargo.mjs";
import { main } from "./process.mjs";
import { setup } from "./setup.mjs";
import { table } from "./table.mjs";
import { wasm } from "./tools.mjs";

const say = (text) => console.log(`interop: ${text}`);

/** The published crate in process, over an in-memory transport, in every version. Resolves to `{passed, failed}`. */
async function crate() {
	say("the published moq-net crate, in process");
	const counts = await cargoTest([], { cwd: join(wasm, "interop") });
	say(`the published moq-net crate: ${counts.passed} passed, ${counts.failed} failed`);
	// Tests that did not run prove nothing.
	return counts.passed === 0 ? { passed: 0, failed: Math.max(1, counts.failed) } : counts;
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
	const inProcess = await crate();
	const { matrix } = await import("../test/interop/matrix.mjs");
	const { rows, failed } = await matrix({ say });
	console.log(`\n${table(["version", "transport", "direction", "frames"], rows)}\n`);
	const { links } = await import("../test/interop/links.mjs");
	const linked = await links({ say });
	console.log(`\n${table(["version", "relays", "frames"], linked.rows)}\n`);
	const wrong = failed + linked.failed + inProcess.failed;
	const all = rows.length + linked.rows.length - failed - linked.failed + inProcess.passed;
	console.log(`interop: ${all} passed, ${wrong} failed`);
	return wrong === 0 ? 0 : 1;
});
