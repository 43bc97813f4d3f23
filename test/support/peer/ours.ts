// Our package, by its name, as an app imports it.
import { connect, type Version } from "moq-worker";
import { check, framesPerGroup, groupIntervalMs, payload, type Received, trackName, type Where } from "./load.ts";

/** Connects with one version only. */
export const open = ({ relay, transport, version }: Where) =>
	connect(relay, { transport, versions: [version as Version] });

/** Publishes groups until the page is closed. */
export async function publish(where: Where): Promise<void> {
	const connection = await open(where);
	const track = connection.createBroadcast(where.broadcast).createTrack(trackName, { cacheMs: 5000 });
	setInterval(() => {
		const group = track.appendGroup();
		for (let index = 0; index < framesPerGroup; index++) group.writeFrame(payload(group.sequence, index));
		group.finish();
	}, groupIntervalMs);
}

/** Reads whole groups until `count` frames have come, checking every byte. */
export async function read(where: Where, count: number): Promise<Received> {
	const connection = await open(where);
	const track = (await connection.waitForBroadcast(where.broadcast)).track(trackName);
	const { version, transport } = connection;
	const received: Received = { frames: 0, groups: 0, bytes: 0, version, transport };
	for await (const group of await track.subscribe({ maxLatencyMs: 2000, ordered: true })) {
		let index = 0;
		for await (const frame of group) {
			check(group.sequence, index, frame.data);
			received.bytes += frame.data.byteLength;
			index++;
		}
		if (index !== framesPerGroup) throw new Error(`group ${group.sequence} ended after ${index} frames`);
		received.frames += index;
		received.groups++;
		if (received.frames >= count) break;
	}
	if (received.frames < count) throw new Error(`the track ended after ${received.frames} frames`);
	connection.close();
	return received;
}
