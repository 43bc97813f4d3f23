// Our package, by its name, as an app imports it.
import { connect, type Version } from "moq-worker";
import {
	check,
	framesPerGroup,
	groupIntervalMs,
	hasPast,
	past,
	payload,
	type Received,
	trackName,
	type Where,
} from "./load.ts";

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

/** Fetches past groups, each once whole and once from its middle, checking every byte. */
export async function fetchPast(where: Where): Promise<Received> {
	const connection = await open(where);
	const track = (await connection.waitForBroadcast(where.broadcast)).track(trackName);
	const subscriber = await track.subscribe({ maxLatencyMs: 2000 });
	let live: number;
	do {
		const group = await subscriber.nextGroup();
		if (!group) throw new Error("the track ended");
		live = group.sequence;
	} while (!hasPast(live));
	const { version, transport } = connection;
	const received: Received = { frames: 0, groups: 0, bytes: 0, version, transport };
	for (const sequence of past(live)) {
		// From the middle first: what is cached whole answers everything.
		for (const frameStart of [framesPerGroup / 2, 0]) {
			const group = await track.fetchGroup(sequence, { frameStart });
			let index = frameStart;
			for await (const frame of group) {
				if (frame.index !== index) throw new Error(`group ${sequence} has frame ${frame.index} where ${index} belongs`);
				check(sequence, index, frame.data);
				received.bytes += frame.data.byteLength;
				received.frames++;
				index++;
			}
			if (index !== framesPerGroup) throw new Error(`group ${sequence} ended after ${index} frames`);
		}
		received.groups++;
	}
	connection.close();
	return received;
}
