// Our package, used as its README says.
import { open } from "../support/peer/ours.ts";
import { install, note, started, trackName } from "./meter.ts";

install(async (where) => {
	const connection = await open(where);
	const track = (await connection.waitForBroadcast(where.broadcast)).track(trackName);
	const subscriber = await track.subscribe({ maxLatencyMs: 2000, ordered: true });
	const reading = (async () => {
		for await (const group of subscriber) {
			for await (const frame of group) note(frame.data);
		}
		throw new Error("the track ended");
	})();
	await Promise.race([started, reading]);
});
