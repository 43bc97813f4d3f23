// Our package and our relay against the published peers.
//
//   node scripts/interop.mjs           pages of every pair of peers through both relays and relays in a row, and the Rust crate in process
//   node scripts/interop.mjs --media   ffmpeg and the published command line tool to our page, through both relays
//   node scripts/interop.mjs --messages [--repeat N]   only the programs of a new user, each N times (2)
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

/** The programs of a new user, between two connections of one page. Resolves to `{passed, failed}`. */
async function everyMessage(repeat) {
	const { messages } = await import("../test/interop/messages.mjs");
	const { rows, failed } = await messages({ say, repeat });
	console.log(`\n${table(["relay", "version", "transport", "program", "result"], rows)}\n`);
	return { passed: rows.length - failed, failed };
}

/** The number after `--repeat`. */
function repeats() {
	const at = process.argv.indexOf("--repeat");
	const repeat = at < 0 ? 2 : Number(process.argv[at + 1]);
	if (!Number.isInteger(repeat) || repeat < 1) throw new Error("--repeat takes a whole number from 1");
	return repeat;
}

main(async () => {
	const media = process.argv.includes("--media");
	const repeat = repeats();
	await setup("rust", "npm", "wasm", "chromium", "relay", ...(media ? ["media"] : []));
	await build();
	if (media) {
		const { pictures } = await import("../test/interop/pictures.mjs");
		const { rows, failed } = await pictures({ say });
		console.log(`\n${table(["relay", "input", "version", "transport", "decoded", "drawn", "screenshot"], rows)}\n`);
		console.log(`interop --media: ${rows.length - failed} passed, ${failed} failed`);
		return failed === 0 ? 0 : 1;
	}
	if (process.argv.includes("--messages")) {
		const { passed, failed } = await everyMessage(repeat);
		console.log(`interop --messages: ${passed} passed, ${failed} failed`);
		return failed === 0 ? 0 : 1;
	}
	const inProcess = await crate();
	const { matrix } = await import("../test/interop/matrix.mjs");
	const { rows, failed } = await matrix({ say });
	console.log(`\n${table(["version", "transport", "direction", "frames"], rows)}\n`);
	const { links } = await import("../test/interop/links.mjs");
	const linked = await links({ say });
	console.log(`\n${table(["version", "relays", "frames"], linked.rows)}\n`);
	const every = await everyMessage(repeat);
	const wrong = failed + linked.failed + inProcess.failed + every.failed;
	const all = rows.length + linked.rows.length - failed - linked.failed + inProcess.passed + every.passed;
	console.log(`interop: ${all} passed, ${wrong} failed`);
	return wrong === 0 ? 0 : 1;
});
