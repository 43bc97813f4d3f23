// What every reader under measurement does with a frame, and the figures made of it. The same code for all of them, so
// that its cost is the same in every row.
import type { Where } from "../support/peer/load.ts";

/** The track of the bench publisher. */
export const trackName = "bench";

/** What one window of measurement saw. */
export interface Window {
	/** Frames per second. */
	fps: number;
	/** Send to read, in milliseconds. */
	p50: number | null;
	p99: number | null;
	/** Frame numbers that were passed over. */
	missing: number;
	seconds: number;
}

/** What the bench calls in the page. */
export interface Bench {
	/** Connects and reads until the page is closed. Resolves when the first frame has come. */
	start(where: Where): Promise<void>;
	begin(): void;
	end(): Window;
	/** Blocks the main thread for 100 ms out of every 200, from now on. */
	block(): void;
}

declare global {
	var bench: Bench;
}

const capacity = 400_000;
const latencies = new Float64Array(capacity);
let count = 0;
let lowest = Number.POSITIVE_INFINITY;
let highest = -1;
let began = 0;
let first: (() => void) | undefined;

/** Resolves when the first frame has come. */
export const started = new Promise<void>((resolve) => {
	first = resolve;
});

/** Notes one frame: its number and when it was sent are in the first 16 bytes. */
export function note(payload: Uint8Array): void {
	const view = new DataView(payload.buffer, payload.byteOffset, 16);
	const number = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
	if (count < capacity) latencies[count] = performance.timeOrigin + performance.now() - view.getFloat64(8, true);
	count++;
	if (number < lowest) lowest = number;
	if (number > highest) highest = number;
	if (first) {
		first();
		first = undefined;
	}
}

function begin(): void {
	count = 0;
	lowest = Number.POSITIVE_INFINITY;
	highest = -1;
	began = performance.now();
}

function end(): Window {
	const seconds = (performance.now() - began) / 1000;
	const sorted = latencies.slice(0, Math.min(count, capacity)).sort();
	const at = (share: number) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null;
	const span = highest < 0 ? 0 : highest - lowest + 1;
	return { fps: count / seconds, p50: at(0.5), p99: at(0.99), missing: Math.max(0, span - count), seconds };
}

function block(): void {
	setInterval(() => {
		const until = performance.now() + 100;
		while (performance.now() < until);
	}, 200);
}

/** Makes the page measurable. */
export function install(start: Bench["start"]): void {
	globalThis.bench = { start, begin, end, block };
}
