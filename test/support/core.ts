/** The real wasm core in Node. */

import { readFileSync } from "node:fs";
import type { AnnounceListener, AnnounceRecord, Handle, Sink } from "../../worker/core/api.ts";
import { Core } from "../../worker/core/core.ts";
import type { ErrorData } from "../../worker/protocol/error.ts";
import { type BatchRecord, readBatch } from "../../worker/rpc/batch.ts";

const file = new URL("../../wasm/bindings/pkg/core_bg.wasm", import.meta.url);

/** A core of its own in the shared wasm instance. A crash fails the test that caused it. */
export function startCore(onFatal: (error: ErrorData) => void = fail): Promise<Core> {
	return Core.load({ wasm: [readFileSync(file)], onFatal });
}

function fail(error: ErrorData): void {
	throw new Error(error.message);
}

/** Keeps what a reader is given and lets a test wait for it. Grants nothing by itself. */
export class Collector implements Sink {
	readonly records: BatchRecord[] = [];
	batches = 0;
	frames = 0;
	bytes = 0;
	ended: { error?: ErrorData } | undefined;
	/** Called after each batch, with what it cost. */
	onBatch: ((frames: number, bytes: number) => void) | undefined;
	#changed: (() => void)[] = [];

	batch(buffer: ArrayBuffer, frames: number, bytes: number): void {
		this.records.push(...readBatch(buffer));
		this.batches += 1;
		this.frames += frames;
		this.bytes += bytes;
		this.onBatch?.(frames, bytes);
		this.#notify();
	}

	end(error?: ErrorData): void {
		if (this.ended) throw new Error("a reader ended twice");
		this.ended = error ? { error } : {};
		this.#notify();
	}

	/** Payloads of all frames so far, as text. */
	texts(): string[] {
		const decoder = new TextDecoder();
		return this.records.flatMap((record) => (record.type === "frame" ? [decoder.decode(record.data)] : []));
	}

	/** Wait until something holds; checked after each batch and at the end. */
	async until(holds: () => boolean): Promise<void> {
		while (!holds()) await new Promise<void>((resolve) => this.#changed.push(resolve));
	}

	#notify(): void {
		const changed = this.#changed;
		this.#changed = [];
		for (const wake of changed) wake();
	}
}

/** Collects announcements and lets a test wait for the next. */
export class Announcements implements AnnounceListener {
	readonly records: AnnounceRecord[] = [];
	ended = false;
	#waiting: (() => void)[] = [];

	event(record: AnnounceRecord): void {
		this.records.push(record);
		this.#notify();
	}

	end(): void {
		this.ended = true;
		this.#notify();
	}

	async next(): Promise<AnnounceRecord> {
		for (;;) {
			const record = this.records.shift();
			if (record) return record;
			await new Promise<void>((resolve) => this.#waiting.push(resolve));
		}
	}

	#notify(): void {
		const waiting = this.#waiting;
		this.#waiting = [];
		for (const wake of waiting) wake();
	}
}

/** The kind of what a call throws, or of what an operation rejects with. */
export async function kindOf(work: () => unknown): Promise<string> {
	try {
		await work();
	} catch (error) {
		return (error as ErrorData).kind;
	}
	return "nothing was thrown";
}

export type { Handle };
