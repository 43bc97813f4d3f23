import type { ErrorData } from "../../worker/protocol/error.ts";
import type { Window } from "../../worker/protocol/limits.ts";
import type { GapData } from "../../worker/protocol/model.ts";
import type { ReaderEvent, ReaderRequest } from "../../worker/protocol/port.ts";
import { Batch, RecordType } from "../../worker/rpc/batch.ts";
import { errorFrom, failure, type MoqError } from "../handle/error.ts";
import { Datagram } from "../model/frame.ts";
import { Credit } from "./credit.ts";
import { GroupBuffer, type GroupOwner } from "./group-buffer.ts";

/** What a reader tells whoever holds the groups; one fetched group has no use for what may be missing. */
export interface ReaderListener {
	/** A group began. */
	group(group: GroupBuffer): void;
	/** Groups that will not be given out in order. Costs as much credit as a group. */
	gap?(gap: GapData): void;
	/** A group that began has nothing left to be read. */
	left?(group: GroupBuffer): void;
	/** A datagram came. */
	datagram?(datagram: Datagram): void;
	/** A batch was taken in: frames may be there for somebody who waits. */
	batch?(): void;
	/** No further group begins. Absent error: the track is finished. */
	trackEnd?(error: MoqError | undefined, final: number | undefined): void;
	/** What it was read from is gone, and another instance is looked for. Returns the group to go on with; undefined: any. */
	cut?(): number | undefined;
	/** It is read on. `isRestart`: from a publisher that counts its groups anew. */
	resumed?(isRestart: boolean): void;
	/** Nothing follows at all. */
	end(error: MoqError | undefined): void;
}

/** Kinds that a track ends with when the session is lost that it came by. */
const LOST: ReadonlySet<string> = new Set(["transport", "timeout", "going-away", "closed", "cancelled"]);

const decoder = new TextDecoder();

/**
 * The page's end of one data port: takes batches apart into groups, gives credit back, and asks past the credit for
 * what somebody waits for.
 */
export class TrackReader implements GroupOwner {
	readonly #port: MessagePort;
	readonly #credit: Credit;
	readonly #listener: ReaderListener;
	readonly #groups = new Map<number, GroupBuffer>();
	/** Why no group follows, until it is known whether that is the end. */
	#lost: MoqError | undefined;
	/** The worker looks for what comes instead. */
	#isCut = false;
	/** Nothing more of it comes. */
	#hasEnded = false;
	#isOver = false;

	/** `window` was granted to the worker along with the other end of `port`. */
	constructor(port: MessagePort, window: Window, listener: ReaderListener) {
		this.#port = port;
		this.#listener = listener;
		this.#credit = new Credit(window, (frames, bytes) => this.post({ type: "grant", frames, bytes }));
		port.onmessage = (event: MessageEvent<ReaderEvent>) => this.#receive(event.data);
		port.onmessageerror = () => this.fail(failure("worker", "a batch could not be received"));
	}

	get isExhausted(): boolean {
		return this.#credit.isExhausted;
	}

	/** Send to the worker, while there is somebody to hear it. */
	post(request: ReaderRequest): void {
		if (!this.#isOver) this.#port.postMessage(request);
	}

	/** Give back all credit that is due. */
	flush(): void {
		this.#credit.flush();
	}

	read(frames: number, bytes: number): void {
		this.#credit.read(frames, bytes);
	}

	hungry(group: GroupBuffer): void {
		if (!this.#credit.isExhausted) return;
		this.#credit.flush();
		if (!this.#credit.isExhausted || group.isWanted || !group.isOpen) return;
		group.isWanted = true;
		this.post({ type: "want", gid: group.gid });
	}

	left(group: GroupBuffer, isOpen: boolean): void {
		this.#groups.delete(group.gid);
		this.#listener.left?.(group);
		if (isOpen) this.post({ type: "skip", gid: group.gid });
	}

	/** End with an error: every group that is open fails with it. */
	fail(error: MoqError): void {
		this.#finish(error);
	}

	/** Let go of the port without a word to anybody. */
	close(): void {
		this.#isOver = true;
		this.#port.onmessage = null;
		this.#port.close();
	}

	#receive(event: ReaderEvent): void {
		if (this.#isOver) return;
		switch (event.type) {
			case "batch":
				this.#credit.used(event.frames, event.bytes);
				this.#takeIn(new Batch(event.buffer));
				for (const group of this.#groups.values()) if (group.isAwaited) this.hungry(group);
				this.#listener.batch?.();
				return;
			case "cut":
				this.#cut();
				return;
			case "resumed":
				this.#lost = undefined;
				this.#isCut = false;
				this.#hasEnded = false;
				this.#listener.resumed?.(event.isRestart);
				return;
			case "over":
				this.#over();
				return;
			case "end":
				// While the worker is asked whether it goes on, the end of what is gone may be none.
				if (this.#lost && !this.#isCut) this.#hasEnded = true;
				else this.#finish(event.error && errorFrom(event.error));
				return;
			default:
				event satisfies never;
		}
	}

	#takeIn(batch: Batch): void {
		let payload = batch.payloads;
		for (let record = 0; record < batch.count; record++) {
			const gid = batch.gid(record);
			switch (batch.type(record)) {
				case RecordType.frame: {
					const bytes = batch.c(record);
					const group = this.#groups.get(gid);
					if (group) group.push(batch, record, payload, bytes);
					// The group was given up while this was on its way.
					else this.#credit.read(1, bytes);
					payload += bytes;
					break;
				}
				case RecordType.group: {
					const group = new GroupBuffer(this, gid, batch.b(record), batch.c(record), batch.d(record));
					this.#groups.set(gid, group);
					this.#listener.group(group);
					break;
				}
				case RecordType.groupEnd:
					this.#groups.get(gid)?.end({ type: "ended", frames: batch.b(record) });
					break;
				case RecordType.groupError:
					this.#groups.get(gid)?.end({ type: "failed", error: errorAt(batch, record, payload) });
					payload += batch.c(record);
					break;
				case RecordType.datagram: {
					const timestamp = batch.b(record);
					const stamped = Number.isNaN(timestamp) ? undefined : timestamp;
					this.#listener.datagram?.(new Datagram(batch.buffer, payload, batch.c(record), batch.d(record), stamped));
					payload += batch.c(record);
					break;
				}
				case RecordType.gap:
					this.#listener.gap?.({ from: batch.b(record), to: batch.d(record), reason: batch.reason(record) });
					break;
				case RecordType.trackEnd: {
					const final = batch.b(record);
					const error = batch.c(record) > 0 ? errorAt(batch, record, payload) : undefined;
					payload += batch.c(record);
					if (error && this.#mayReturn(error)) this.#ask(error);
					else this.#listener.trackEnd?.(error, Number.isNaN(final) ? undefined : final);
					break;
				}
			}
		}
	}

	/** A fetched group has nothing to go on with. */
	#mayReturn(error: MoqError): boolean {
		return this.#listener.cut !== undefined && LOST.has(error.kind);
	}

	/** Ask the worker whether this goes on. */
	#ask(error: MoqError): void {
		this.#lost = error;
		this.post({ type: "lost" });
	}

	/** It does not go on. */
	#over(): void {
		const error = this.#lost;
		this.#lost = undefined;
		if (error) this.#listener.trackEnd?.(error, undefined);
		if (this.#hasEnded) this.#finish(error);
	}

	/** What was read is gone, and with it the rest of every group. */
	#cut(): void {
		const error = this.#lost;
		this.#isCut = true;
		this.#hasEnded = true;
		const groups = [...this.#groups.values()];
		this.#groups.clear();
		for (const group of groups) {
			if (group.isOpen)
				group.fail(failure("dropped", `group ${group.sequence} was cut off: the connection was lost`, error));
		}
		const next = this.#listener.cut?.();
		this.flush();
		this.post({ type: "resume", ...(next === undefined ? {} : { next }), ...this.#credit.rest });
	}

	#finish(error: MoqError | undefined): void {
		if (this.#isOver) return;
		this.close();
		const open = [...this.#groups.values()];
		this.#groups.clear();
		const cut = error ?? failure("dropped", "the subscription ended inside this group");
		for (const group of open) group.fail(cut);
		this.#listener.end(error);
	}
}

function errorAt(batch: Batch, record: number, payload: number): MoqError {
	const json = decoder.decode(new Uint8Array(batch.buffer, payload, batch.c(record)));
	return errorFrom(JSON.parse(json) as ErrorData);
}
