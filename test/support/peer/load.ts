// What the publisher of an interop test sends, and what the reader checks it against.

/** Where and how one peer connects. */
export interface Where {
	/** The relay's http: URL; its certificate's hash is at /certificate.sha256. */
	relay: string;
	transport: "webtransport" | "websocket";
	/** The one version to offer. */
	version: string;
	broadcast: string;
}

/** What a reader received. */
export interface Received {
	frames: number;
	groups: number;
	bytes: number;
	version: string;
	transport: string;
}

/** What the test calls in the page, by `page.evaluate`. */
export interface Peer {
	/** Publishes until the page is closed; resolves once it is connected. */
	publish(where: Where): Promise<void>;
	/** Reads whole groups until `count` frames have come, checking every byte. */
	read(where: Where, count: number): Promise<Received>;
	/** The same without waiting for an announcement, if this peer can ask for what nobody has announced. */
	readUnannounced?(where: Where, count: number): Promise<Received>;
	/** Fetches groups that are over, checking every byte, while the track goes on. */
	fetchPast(where: Where): Promise<Received>;
}

declare global {
	var peer: Peer;
}

/** Frames in each group. */
export const framesPerGroup = 10;
/** A new group starts this often. */
export const groupIntervalMs = 50;
/** The track that carries them. */
export const trackName = "data";

/** Sizes differ by index: empty, small, and one that needs several packets. */
const sizes = [12, 0, 200, 1, 1200, 60_000, 63, 64, 5000, 16_384];

/** The payload of one frame: every byte follows from its place, so that a mix-up of any kind shows. */
export function payload(group: number, index: number): Uint8Array {
	const bytes = new Uint8Array(sizes[index % sizes.length] ?? 0);
	for (let at = 0; at < bytes.length; at++) bytes[at] = (group * 31 + index * 7 + at) & 0xff;
	return bytes;
}

/** Throws unless these are the bytes of that frame. */
function check(group: number, index: number, bytes: Uint8Array): void {
	const wanted = payload(group, index);
	if (bytes.length !== wanted.length) {
		throw new Error(`group ${group} frame ${index} has ${bytes.length} bytes, not ${wanted.length}`);
	}
	const wrong = bytes.findIndex((byte, at) => byte !== wanted[at]);
	if (wrong !== -1) throw new Error(`group ${group} frame ${index} differs at byte ${wrong}`);
}

/** Counts what a reader receives, and checks every byte of it. */
export class Tally implements Received {
	frames = 0;
	groups = 0;
	bytes = 0;
	readonly version: string;
	readonly transport: string;

	constructor({ version, transport }: { version: string; transport: string }) {
		this.version = version;
		this.transport = transport;
	}

	/** Take one group in, from frame `from` on. Throws unless it is whole from there. */
	async group(sequence: number, payloads: AsyncIterable<Uint8Array>, from = 0): Promise<void> {
		let index = from;
		for await (const bytes of payloads) {
			check(sequence, index, bytes);
			this.bytes += bytes.byteLength;
			index++;
		}
		if (index !== framesPerGroup) throw new Error(`group ${sequence} ended after ${index} frames`);
		this.frames += index - from;
		this.groups++;
	}

	/** As plain data, which crosses from the page to the test. */
	get received(): Received {
		return { ...this };
	}
}

/** How far back fetched groups lie: over well before the live one began, and still held by the publisher. */
const back = [14, 12, 10];

/** Whether there are groups to fetch when `live` has begun. */
export const hasPast = (live: number): boolean => live > Math.max(...back);

/** The groups to fetch when `live` has begun. */
export const past = (live: number): number[] => back.map((distance) => live - distance);
