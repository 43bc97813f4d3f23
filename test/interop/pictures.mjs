// Real input from outside: ffmpeg encodes H.264, the published command line tool publishes it, a relay forwards it, our page
// decodes and draws it in workers.
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { need, out, root } from "../../scripts/tools.mjs";
import { launch } from "../support/browser.mjs";
import { startOurRelay, startPublishedRelay } from "../support/relay.mjs";
import { serveApp } from "../support/serve.mjs";

/** A row passes when this many frames were decoded and as many drawn. */
const wanted = 100;
/** Long enough for them at 30 frames per second on a busy machine. */
const limitMs = 30_000;

const encoder = ["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-g", "30", "-pix_fmt", "yuv420p"];

/** How the same pictures reach the tool: as fragmented MP4 (container `cmaf`), or as bare H.264 (container `legacy`). */
const inputs = {
	fmp4: ["-f", "mp4", "-movflags", "cmaf+separate_moof+delay_moov+skip_trailer+frag_every_frame"],
	avc3: ["-f", "h264", "-x264-params", "repeat-headers=1"],
};

/** ffmpeg into the tool, both in one process group: one signal ends them. */
async function publish(relay, broadcast, input) {
	const source = ["-hide_banner", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30"];
	const quote = (word) => `'${word.replaceAll("'", "'\\''")}'`;
	const ffmpeg = ["ffmpeg", ...source, ...encoder, ...inputs[input], "pipe:1"].map(quote).join(" ");
	const tool = [await need("moq"), "--connect", relay.url, "--broadcast", broadcast, "import", input]
		.map(quote)
		.join(" ");
	const child = spawn("sh", ["-c", `${ffmpeg} | ${tool}`], { detached: true, stdio: ["ignore", "ignore", "pipe"] });
	const kill = () => {
		try {
			process.kill(-child.pid, "SIGKILL");
		} catch (error) {
			if (error.code !== "ESRCH") throw error;
		}
	};
	process.once("exit", kill);
	let log = "";
	child.stderr.on("data", (data) => {
		log = (log + data).slice(-2000);
	});
	let ended = false;
	const closed = new Promise((resolve) => {
		child.once("close", () => {
			ended = true;
			resolve();
		});
	});
	return {
		log: () => log,
		ended: () => ended,
		async stop() {
			process.off("exit", kill);
			kill();
			await closed;
		},
	};
}

/** How many clearly different colours a PNG shows: a black or grey canvas has a handful. */
function colours(page, png) {
	return page.evaluate(async (base64) => {
		const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob());
		const canvas = new OffscreenCanvas(image.width, image.height);
		const context = canvas.getContext("2d");
		context.drawImage(image, 0, 0);
		const { data } = context.getImageData(0, 0, image.width, image.height);
		const seen = new Set();
		for (let at = 0; at < data.length; at += 4)
			seen.add(((data[at] >> 5) << 6) | ((data[at + 1] >> 5) << 3) | (data[at + 2] >> 5));
		return seen.size;
	}, png.toString("base64"));
}

/** Plays until enough frames were drawn. Resolves to the page's last state and the path of a screenshot. */
async function play(browser, url, name, sender) {
	const page = await browser.open(url, { width: 700, height: 480 });
	try {
		const state = () => page.evaluate(() => globalThis.moqWatch?.state());
		const end = Date.now() + limitMs;
		let last;
		for (;;) {
			last = await state();
			if (last?.errors.length > 0) throw new Error(last.errors[0]);
			if (last?.decoded >= wanted && last?.drawn >= wanted) break;
			if (sender.ended()) throw new Error(`the sender ended: ${sender.log()}`);
			if (Date.now() > end)
				throw new Error(`only ${last?.decoded ?? 0} decoded, ${last?.drawn ?? 0} drawn in ${limitMs / 1000} s`);
			await new Promise((resolve) => setTimeout(resolve, 100));
		}
		if (!last.codec?.startsWith("avc")) throw new Error(`the codec is ${last.codec}, not H.264`);
		mkdirSync(out, { recursive: true });
		const path = join(out, `${name}.png`);
		const canvas = page.locator("canvas").first();
		const png = await canvas.screenshot();
		writeFileSync(path, png);
		const shown = await colours(page, png);
		if (shown < 20) throw new Error(`the picture shows only ${shown} colours: ${path.slice(root.length)}`);
		await new Promise((resolve) => setTimeout(resolve, 300));
		if (png.equals(await canvas.screenshot())) throw new Error(`the picture stands still: ${path.slice(root.length)}`);
		return { ...last, screenshot: path.slice(root.length) };
	} finally {
		await page.close();
	}
}

/** Runs every row. Resolves to `{rows, failed}`; a row that failed says why. */
export async function pictures({ say }) {
	const app = await serveApp(join(root, "demo"), "demo", ["watch.html"]);
	const rows = [];
	let failed = 0;
	for (const start of [startPublishedRelay, startOurRelay]) {
		const relay = await start();
		const browser = await launch();
		for (const input of Object.keys(inputs)) {
			for (const transport of ["webtransport", "websocket"]) {
				const name = `media-${relay.name}-${input}-${transport}`;
				const broadcast = `${name}.hang`;
				const sender = await publish(relay, broadcast, input);
				const before = browser.complaints.length;
				try {
					const query = new URLSearchParams({ relay: relay.url, broadcast, transport });
					const last = await play(browser, `${app.url}watch.html?${query}`, name, sender);
					if (browser.complaints[before]) throw new Error(browser.complaints[before]);
					rows.push([relay.name, input, last.version, last.transport, last.decoded, last.drawn, last.screenshot]);
					say(`${relay.name} ${input} ${transport}: ${last.decoded} decoded, ${last.drawn} drawn`);
				} catch (error) {
					failed++;
					const reason = error.message.split("\n")[0];
					rows.push([relay.name, input, "–", transport, "–", "–", `FAILED: ${reason}`]);
					say(`${relay.name} ${input} ${transport}: FAILED: ${reason}`);
				} finally {
					await sender.stop();
				}
			}
		}
		await browser.close();
		await relay.stop();
	}
	await app.close();
	return { rows, failed };
}
