// Programs as a new user writes them: one page, two connections, a writer and a reader with default preferences. Each says what
// should have arrived and what did, in order.
import { type Connection, connect, type Gap, type TrackProducer, type TrackSubscriber, type Version } from "moq-worker";

/** Where a program runs. */
export interface MessagesAt {
	/** The relay's http: URL. */
	relay: string;
	transport: "webtransport" | "websocket";
	/** The one version to offer; absent: the newest both know. */
	version?: string;
	/** Path of the broadcast, used by no other run. */
	broadcast: string;
}

/** What became of one run. */
export interface Outcome {
	expected: number;
	/** Messages that did not arrive, that came twice or out of order. */
	lost: number;
	wrong: number;
	gaps: Gap[];
	/** First message sent to last received. */
	ms: number;
}

interface Program {
	/** Writes all messages to a track that is read already. */
	write(track: TrackProducer): Promise<void>;
	/** Number of messages. */
	count: number;
	/** What message `index` holds; text is compared as a whole, and so are bytes. */
	message(index: number): string | Uint8Array;
	/** Gives each message to `take` until it has all. */
	read(subscriber: TrackSubscriber, take: (data: Uint8Array) => boolean): Promise<void>;
}

const CHUNK_BYTES = 64 * 1024;

const text = (index: number) => `message ${index}`;

/** 64 KiB that differ from those of every other chunk. */
function chunk(index: number): Uint8Array {
	const bytes = new Uint8Array(CHUNK_BYTES);
	for (let at = 0; at < bytes.length; at++) bytes[at] = (index * 31 + at * 7) & 0xff;
	return bytes;
}

/** The next turn of the page, without the rests that timers take. */
const turn = () =>
	new Promise<void>((resolve) => {
		const { port1, port2 } = new MessageChannel();
		port1.onmessage = () => {
			port1.close();
			resolve();
		};
		port2.postMessage(undefined);
	});

async function byGroup(subscriber: TrackSubscriber, take: (data: Uint8Array) => boolean): Promise<void> {
	for await (const group of subscriber) for await (const frame of group) if (take(frame.bytes())) return;
}

/** All of them, by name. */
export const programs: Record<string, Program> = {
	"ten messages in one turn": {
		count: 10,
		message: text,
		async write(track) {
			for (let index = 0; index < this.count; index++) track.writeFrame(text(index));
		},
		read: byGroup,
	},
	"five messages, a millisecond apart": {
		count: 5,
		message: text,
		write: everyMillisecond,
		read: byGroup,
	},
	"a message per millisecond": {
		count: 500,
		message: text,
		write: everyMillisecond,
		read: byGroup,
	},
	"20 MB as a group per 64 kB": {
		count: 320,
		message: chunk,
		async write(track) {
			for (let index = 0; index < this.count; index++) {
				await track.ready;
				track.writeFrame(chunk(index));
			}
			track.finish();
		},
		async read(subscriber, take) {
			for await (const frame of subscriber.frames()) if (take(frame.bytes())) return;
		},
	},
	"a thousand groups of one frame": {
		count: 1000,
		message: text,
		async write(track) {
			for (let index = 0; index < this.count; index++) {
				await track.ready;
				track.writeFrame(text(index));
			}
			track.finish();
		},
		async read(subscriber, take) {
			for (let frame = await subscriber.readFrame(); frame; frame = await subscriber.readFrame()) take(frame.bytes());
		},
	},
};

async function everyMillisecond(this: Program, track: TrackProducer): Promise<void> {
	const begin = performance.now();
	for (let index = 0; index < this.count; index++) {
		while (performance.now() < begin + index) await turn();
		track.writeFrame(text(index));
	}
}

/** Longer than the longest of them takes on a slow machine: a run that has not ended then has lost something. */
const LIMIT_MS = 30_000;

/** Runs one program between two connections. */
export async function runBetween(
	name: string,
	{ near, far, broadcast }: { near: Connection; far: Connection; broadcast: string },
): Promise<Outcome> {
	const program = programs[name];
	if (!program) throw new Error(`there is no program "${name}"`);
	const track = near.createBroadcast(broadcast).createTrack("messages");
	const found = await far.waitForBroadcast(broadcast);
	const subscriber = await found.track("messages").subscribe();
	const gaps: Gap[] = [];
	subscriber.addEventListener("gap", ({ detail }) => gaps.push(detail));
	await track.used();
	const begin = performance.now();
	let end = begin;
	let next = 0;
	let lost = 0;
	let wrong = 0;
	const take = (data: Uint8Array): boolean => {
		end = performance.now();
		let index = next;
		while (index < program.count && !isSame(data, program.message(index))) index++;
		if (index === program.count) wrong++;
		else {
			lost += index - next;
			next = index + 1;
		}
		return next === program.count;
	};
	const timer = setTimeout(() => subscriber.close(), LIMIT_MS);
	const reading = program.read(subscriber, take).catch((error: { kind?: string }) => {
		if (error.kind !== "closed") throw error;
	});
	await Promise.all([program.write(track), reading]);
	clearTimeout(timer);
	subscriber.close();
	track.close();
	return { expected: program.count, lost: lost + program.count - next, wrong, gaps, ms: end - begin };
}

/** Makes the connections and runs one program so many times. */
export async function run(name: string, at: MessagesAt, repeat: number): Promise<Outcome[]> {
	const options = { transport: at.transport, ...(at.version ? { versions: [at.version as Version] } : {}) };
	const [near, far] = await Promise.all([connect(at.relay, options), connect(at.relay, options)]);
	const outcomes: Outcome[] = [];
	for (let round = 0; round < repeat; round++) {
		outcomes.push(await runBetween(name, { near, far, broadcast: `${at.broadcast}/${round}` }));
	}
	near.close();
	far.close();
	return outcomes;
}

const encoder = new TextEncoder();

function isSame(data: Uint8Array, message: string | Uint8Array): boolean {
	const wanted = typeof message === "string" ? encoder.encode(message) : message;
	return data.length === wanted.length && data.every((byte, at) => byte === wanted[at]);
}
