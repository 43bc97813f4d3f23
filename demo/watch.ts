import { type Connection, connect } from "moq-worker";
import { Player } from "moq-worker/media";
import { Errors, element, show, wishes } from "./page.ts";

/** What the page plays, for programs that look at it. */
interface WatchState {
	version: string | null;
	transport: string | null;
	/** Pictures decoded in the core worker and drawn in the render worker. */
	decoded: number;
	drawn: number;
	/** Size of the picture, pixels; 0 before the first. */
	width: number;
	height: number;
	codec: string | null;
	errors: string[];
}

declare global {
	var moqWatch: { state(): WatchState };
}

const errors = new Errors();
errors.watchPage();
let connection: Connection | undefined;
let player: Player | undefined;
let drawn = 0;
let size = { width: 0, height: 0 };

globalThis.moqWatch = {
	state: () => ({
		version: connection?.version ?? null,
		transport: connection?.transport ?? null,
		decoded: player?.stats?.decoded ?? 0,
		drawn,
		...size,
		codec: player?.rendition?.codec ?? null,
		errors: [...errors.all],
	}),
};

async function run(): Promise<void> {
	const { relay, broadcast, options } = wishes();
	if (!broadcast) throw new Error("no broadcast given: add &broadcast=… with its path to this page's address");
	connection = await connect(relay, options);
	player = new Player({ connection, broadcast, canvas: element<HTMLCanvasElement>("picture") });
	player.addEventListener("error", ({ detail }) => errors.add("Playing failed", detail));
	player.addEventListener("drawn", ({ detail }) => {
		drawn = detail.received - detail.overtaken;
		size = { width: detail.width, height: detail.height };
	});
	const refresh = (): void => {
		const { version, transport, codec, width, height, decoded } = globalThis.moqWatch.state();
		const picture = codec ? `${codec} ${width}×${height}, ${decoded} decoded, ${drawn} drawn` : "no picture yet";
		show("status", `${broadcast} (${player?.state}): ${picture}. ${version} over ${transport}.`);
	};
	setInterval(refresh, 500);
}

run().catch((error: unknown) => {
	errors.add("Nothing to watch", error);
	show("status", "Not connected.");
});
