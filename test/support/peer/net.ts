// The published JavaScript peer.
import { Broadcast, Connection, type Group, Path, Time, type Track } from "@moq/net";
import Session from "@moq/qmux";
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

/** Connects with one version only, by a transport made here: the own `connect` of this peer has no option for that. */
export async function open({ relay, transport, version }: Where): Promise<Connection.Established> {
	const alpn = version === "moq-lite-01" || version === "moq-lite-02" ? "moql" : version;
	const url = new URL(relay);
	if (transport === "websocket") {
		url.protocol = "ws:";
		const protocols = [`qmux-01.${alpn}`, `qmux-00.${alpn}`];
		const session = new Session(url, { protocols, requireProtocol: true });
		await session.ready;
		return await Connection.connect(new URL(relay), { transport: session });
	}
	const hex = (await (await fetch(new URL("/certificate.sha256", relay))).text()).trim();
	const value = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
	url.protocol = "https:";
	const options = { protocols: [alpn], serverCertificateHashes: [{ algorithm: "sha-256", value }] };
	const session = new WebTransport(url, options as WebTransportOptions);
	await session.ready;
	return await Connection.connect(url, { transport: session });
}

/** Publishes groups until the page is closed. */
export async function publish(where: Where): Promise<void> {
	const connection = await open(where);
	const broadcast = new Broadcast.Producer();
	const track = broadcast.createTrack(trackName);
	connection.publish(Path.from(where.broadcast), broadcast);
	setInterval(() => {
		const group = track.appendGroup();
		for (let index = 0; index < framesPerGroup; index++) {
			group.writeFrame({ payload: payload(group.sequence, index), timestamp: Time.Timestamp.now() });
		}
		group.close();
	}, groupIntervalMs);
}

/** Reads whole groups until `count` frames have come, checking every byte. */
export async function read(where: Where, count: number): Promise<Received> {
	const connection = await open(where);
	const announced = connection.announced();
	for (;;) {
		const event = await announced.next();
		if (!event) throw new Error("the announcements ended before the broadcast appeared");
		if (event.active && event.path === where.broadcast) break;
	}
	return await readFrom(connection, where, count);
}

/** Reads what nobody need have announced. */
export async function readUnannounced(where: Where, count: number): Promise<Received> {
	return await readFrom(await open(where), where, count);
}

async function readFrom(connection: Connection.Established, where: Where, count: number): Promise<Received> {
	const track = connection.consume(Path.from(where.broadcast)).track(trackName);
	const subscriber: Track.Subscriber = track.subscribe({ latencyMax: 2000, ordered: true });
	const tally = new Tally(connection);
	while (tally.frames < count) {
		const group = await subscriber.recvGroup();
		if (!group) throw new Error(`the track ended after ${tally.frames} frames`);
		await tally.group(group.sequence, payloads(group));
	}
	connection.close();
	return tally.received;
}

/** Fetches past groups, checking every byte. This peer can only fetch whole groups. */
export async function fetchPast(where: Where): Promise<Received> {
	const connection = await open(where);
	const track = connection.consume(Path.from(where.broadcast)).track(trackName);
	const subscriber: Track.Subscriber = track.subscribe({ latencyMax: 2000, ordered: true });
	let live: number;
	do {
		const group = await subscriber.recvGroup();
		if (!group) throw new Error("the track ended");
		live = group.sequence;
	} while (!hasPast(live));
	const tally = new Tally(connection);
	for (const sequence of past(live)) await tally.group(sequence, payloads(await track.fetchGroup(sequence)));
	connection.close();
	return tally.received;
}

async function* payloads(group: Group.Consumer): AsyncGenerator<Uint8Array> {
	for (let frame = await group.readFrame(); frame; frame = await group.readFrame()) yield frame.payload;
}
