// The published JavaScript peer, reading as its own examples do. Runs on the page or in a worker.
import { Path } from "@moq/net";
import type { Where } from "../support/peer/load.ts";
import { open } from "../support/peer/net.ts";
import { trackName } from "./meter.ts";

/** Reads every frame of the bench track, for ever. */
export async function readAll(where: Where, frame: (payload: Uint8Array) => void): Promise<never> {
	const connection = await open(where);
	const announced = connection.announced();
	for (;;) {
		const event = await announced.next();
		if (!event) throw new Error("the announcements ended before the broadcast appeared");
		if (event.active && event.path === where.broadcast) break;
	}
	const track = connection.consume(Path.from(where.broadcast)).track(trackName);
	const subscriber = track.subscribe({ latencyMax: 2000, ordered: true });
	for (;;) {
		const group = await subscriber.recvGroup();
		if (!group) throw new Error("the track ended");
		for (;;) {
			const next = await group.readFrame();
			if (!next) break;
			frame(next.payload);
		}
	}
}
