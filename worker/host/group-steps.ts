import type { CoreApi, Handle } from "../core/api.ts";
import { asErrorData, failure } from "../failure.ts";
import type { ErrorData } from "../protocol/error.ts";
import { WRITE_WINDOW } from "../protocol/limits.ts";
import type { Rejection } from "../protocol/model.ts";
import type { GroupStep, WriterEvent } from "../protocol/port.ts";

/** Groups the page writes over one port, by the numbers it gave them, and the credit for what it writes. */
export class GroupSteps {
	readonly #api: CoreApi;
	readonly #port: MessagePort;
	readonly #groups = new Map<number, Handle>();
	/** Frames that are written in pieces, and what of them is missing. */
	readonly #frames = new Map<string, { handle: Handle; group: number; missing: number }>();
	/** Taken from the page and not granted again yet. */
	#usedFrames = 0;
	#usedBytes = 0;

	constructor(api: CoreApi, port: MessagePort) {
		this.#api = api;
		this.#port = port;
	}

	/** How many groups are open. */
	get size(): number {
		return this.#groups.size;
	}

	/** A group begins; a refusal is told to the page. */
	begin(group: number, open: () => Handle): void {
		try {
			if (this.#groups.has(group)) throw failure("usage", `group number ${group} is in use`);
			this.#groups.set(group, open());
		} catch (error) {
			this.refuse(group, asErrorData(error));
		}
	}

	/** One step inside a group. */
	take(step: GroupStep): void {
		try {
			if (step.type === "frame" || step.type === "chunk") this.took(step.data);
			const group = this.#groups.get(step.group);
			// It was refused, and the page was told.
			if (group !== undefined) this.#step(group, step);
		} catch (error) {
			this.refuse(step.group, asErrorData(error));
		}
	}

	/** A step failed: the group is over for the page, and given up for its readers. */
	refuse(group: number, error: ErrorData): void {
		this.#drop(group);
		this.#post({ type: "groupError", group, error });
	}

	/** Count what the page wrote. */
	took(data: Uint8Array): void {
		this.#usedFrames++;
		this.#usedBytes += data.byteLength;
	}

	/** Give credit back, half a window at a time: a grant for every frame would wake the page for every frame. */
	grant(): void {
		const { frames, bytes } = WRITE_WINDOW;
		if (this.#usedFrames * 2 < frames && this.#usedBytes * 2 < bytes) return;
		this.#post({ type: "grant", frames: this.#usedFrames, bytes: this.#usedBytes });
		this.#usedFrames = 0;
		this.#usedBytes = 0;
	}

	/** Abort every open group. */
	abort(error: Rejection): void {
		for (const [group, handle] of [...this.#groups]) {
			this.#groups.delete(group);
			this.#api.abortGroup(handle, error);
			this.#freeFrames(group);
		}
	}

	/** Give up everything that is open. */
	release(): void {
		for (const group of [...this.#groups.keys()]) this.#drop(group);
	}

	#step(group: Handle, step: GroupStep): void {
		switch (step.type) {
			case "frame":
				this.#api.writeFrame(group, step.data, step.timestamp);
				return;
			case "frameStart": {
				if (this.#frames.has(step.frame)) throw failure("usage", `frame ${step.frame} is in use`);
				const handle = this.#api.createFrame(group, step.size, step.timestamp);
				if (step.size === 0) this.#api.free(handle);
				else this.#frames.set(step.frame, { handle, group: step.group, missing: step.size });
				return;
			}
			case "chunk": {
				const frame = this.#frames.get(step.frame);
				if (!frame) throw failure("usage", `frame ${step.frame} is not in use`);
				this.#api.writeChunk(frame.handle, step.data);
				frame.missing -= step.data.byteLength;
				if (frame.missing === 0) this.#freeFrame(step.frame);
				return;
			}
			case "frameAbort":
				this.#freeFrame(step.frame);
				return;
			case "groupEnd":
				this.#groups.delete(step.group);
				this.#freeFrames(step.group);
				this.#api.finishGroup(group);
				return;
			case "groupAbort":
				this.#groups.delete(step.group);
				this.#api.abortGroup(group, step.error);
				this.#freeFrames(step.group);
				return;
			default:
				step satisfies never;
		}
	}

	#drop(group: number): void {
		const handle = this.#groups.get(group);
		this.#groups.delete(group);
		if (handle !== undefined) this.#api.free(handle);
		this.#freeFrames(group);
	}

	#freeFrames(group: number): void {
		for (const [name, frame] of this.#frames) if (frame.group === group) this.#freeFrame(name);
	}

	#freeFrame(name: string): void {
		const frame = this.#frames.get(name);
		this.#frames.delete(name);
		if (frame) this.#api.free(frame.handle);
	}

	#post(event: WriterEvent): void {
		this.#port.postMessage(event);
	}
}
