import { type Connection, connect } from "moq-worker";
import { Player, Publisher } from "moq-worker/media";
import { openChat, showChat } from "./chat.ts";
import { Errors, element, show, wishes } from "./page.ts";
import { PictureLog } from "./picture-log.ts";

/** What the second connection saw, for programs that look at this page. */
interface DemoState {
	version: string | null;
	transport: string | null;
	/** Different frames drawn, by the counter in the picture. */
	frames: number;
	/** Capture to drawn of each, ms, by the clock in the picture. */
	latenciesMs: number[];
	fps: number;
	latencyMs: number | null;
	/** Lines that came back over the relay. */
	chat: string[];
	/** Pictures received and decoded in the core worker, drawn in the render worker. */
	received: number;
	decoded: number;
	drawn: number;
	errors: string[];
}

/** What the core worker did while the page was blocked. */
interface BlockReport {
	blockedMs: number;
	received: number;
	decoded: number;
	longestGapMs: number;
}

declare global {
	var moqDemo: { state(): DemoState; sendChat(line: string): void; block(ms: number): Promise<BlockReport> };
}

const errors = new Errors();
errors.watchPage();
const log = new PictureLog();
const chat: string[] = [];
let viewer: Connection | undefined;
let player: Player | undefined;
let send: ((line: string) => void) | undefined;
let drawn = 0;

globalThis.moqDemo = {
	state: () => ({
		version: viewer?.version ?? null,
		transport: viewer?.transport ?? null,
		frames: log.frames,
		latenciesMs: [...log.latenciesMs],
		fps: log.fps,
		latencyMs: log.latencyMs,
		chat: [...chat],
		received: player?.stats?.received ?? 0,
		decoded: player?.stats?.decoded ?? 0,
		drawn,
		errors: [...errors.all],
	}),
	sendChat(line) {
		if (!send) throw new Error("the publishing connection is not open yet");
		send(line);
	},
	block,
};

async function run(): Promise<void> {
	const { relay, options, broadcast } = wishes();
	const name = broadcast ?? `demo/${crypto.randomUUID().slice(0, 8)}`;
	const path = `${name}/pattern.hang`;
	const publishing = await connect(relay, options);
	const publisher = new Publisher({ connection: publishing, broadcast: path, source: "test-pattern" });
	publisher.addEventListener("error", ({ detail }) => errors.add("Publishing failed", detail));
	send = openChat(publishing, `${name}/chat`);
	element("chat").querySelector("button")?.removeAttribute("disabled");

	viewer = await connect(relay, options);
	for (const [what, connection] of Object.entries({ publishing, viewing: viewer }))
		connection.closed.then(
			(info) => errors.add(`The ${what} connection closed`, info.reason || "by the relay"),
			(error: unknown) => errors.add(`The ${what} connection was lost`, error),
		);
	showChat(viewer, `${name}/chat`, chat).catch((error: unknown) => errors.add("Chat failed", error));
	const canvas = element<HTMLCanvasElement>("picture");
	player = new Player({ connection: viewer, broadcast: path, canvas, readStamps: true });
	player.addEventListener("error", ({ detail }) => errors.add("Playing failed", detail));
	player.addEventListener("drawn", ({ detail }) => {
		drawn = detail.received - detail.overtaken;
		for (const picture of detail.pictures) log.add(picture);
	});
	element<HTMLButtonElement>("block").disabled = false;
	setInterval(() => refresh(path), 500);
}

function refresh(path: string): void {
	show("status", `${path}: ${player?.state ?? "–"}`);
	show("version", viewer?.version ?? "–");
	show("transport", viewer?.transport ?? "–");
	show("codec", player?.rendition?.codec ?? "–");
	show("fps", log.fps.toFixed(1));
	show("latency", log.latencyMs?.toFixed(0) ?? "–");
	show("received", String(player?.stats?.received ?? 0));
	show("decoded", String(player?.stats?.decoded ?? 0));
	show("drawn", String(drawn));
}

/** Keeps the page's thread busy, as a slow script would, and asks the core worker afterwards what it did in that time. */
async function block(ms: number): Promise<BlockReport> {
	if (!player) throw new Error("the player is not open yet");
	const now = () => performance.timeOrigin + performance.now();
	const fromMs = now();
	while (now() < fromMs + ms);
	const toMs = now();
	const report = await player.report(fromMs, toMs);
	const { received, decoded, longestGapMs } = report;
	show(
		"blocked",
		`In ${Math.round(toMs - fromMs)} ms of a blocked page the core worker received ${received} and decoded ${decoded} pictures; ` +
			`the longest pause between two of them was ${Math.round(longestGapMs)} ms.`,
	);
	return { blockedMs: toMs - fromMs, ...report };
}

element("block").addEventListener("click", () => {
	block(1000).catch((error: unknown) => errors.add("The report failed", error));
});
element("chat").addEventListener("submit", (event) => {
	event.preventDefault();
	const input = element<HTMLInputElement>("line");
	if (input.value.trim() === "") return;
	globalThis.moqDemo.sendChat(input.value);
	input.value = "";
});
run().catch((error: unknown) => {
	errors.add("The demo could not start", error);
	show("status", "Not connected.");
});
