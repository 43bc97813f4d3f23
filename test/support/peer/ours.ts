// Our package, by its name, as an app imports it.
import { connect, type GroupConsumer, type Version } from "moq-worker";
import {
	framesPerGroup,
	groupIntervalMs,
	hasPast,
	past,
	payload,
	type Received,
	Tally,
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
	const tally = new Tally(connection);
	// As long as the publisher keeps groups: what is older than that when a slow page joins is given up by the relay while it is read.
	for await (const group of await track.subscribe({ maxLatencyMs: 5000, ordered: true })) {
		await tally.group(group.sequence, payloads(group));
		if (tally.frames >= count) break;
	}
	if (tally.frames < count) throw new Error(`the track ended after ${tally.frames} frames`);
	connection.close();
	return tally.received;
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
	const tally = new Tally(connection);
	for (const sequence of past(live)) {
		// From the middle first: what is cached whole answers everything.
		for (const frameStart of [framesPerGroup / 2, 0]) {
			await tally.group(sequence, payloads(await track.fetchGroup(sequence, { frameStart }), frameStart), frameStart);
		}
	}
	connection.close();
	return tally.received;
}

/** What the frames hold. They say where they are in their group, and that is where they belong. */
async function* payloads(group: GroupConsumer, from = 0): AsyncGenerator<Uint8Array> {
	let index = from;
	for await (const frame of group) {
		if (frame.index !== index)
			throw new Error(`group ${group.sequence} has frame ${frame.index} where ${index} belongs`);
		index++;
		yield frame.data;
	}
}
