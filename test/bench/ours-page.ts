// Our package, used as its README says.
import { MoqError } from "moq-worker";
import { open } from "../support/peer/ours.ts";
import { install, note, started, trackName } from "./meter.ts";

install(async (where) => {
	const connection = await open(where);
	const track = (await connection.waitForBroadcast(where.broadcast)).track(trackName);
	const subscriber = await track.subscribe({ maxLatencyMs: 2000, ordered: true });
	const reading = (async () => {
		for await (const group of subscriber) {
			try {
				for await (const frame of group) note(frame.data);
			} catch (error) {
				// The rest of the group came too late for the latency that was asked for: it counts as missing.
				if (!(error instanceof MoqError && error.kind === "old")) throw error;
			}
		}
		throw new Error("the track ended");
	})();
	await Promise.race([started, reading]);
});
