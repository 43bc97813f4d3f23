/** Runs one core: lets it poll, carries out what it asks for, and tells everybody when it crashes. */

import { Core as Raw } from "../../wasm/bindings/pkg/core.js";
import type { ErrorData } from "../protocol/error.ts";
import type { AnnounceListener, Handle, Operation, Sink } from "./api.ts";
import { Drain, type Receivers } from "./command.ts";
import { Instance } from "./instance.ts";
import { Link } from "./link.ts";
import type { Memory } from "./memory.ts";
import { Operations, type Outcome, refused } from "./operation.ts";
import { Schedule } from "./schedule.ts";
import type { OpenTransport, TransportOutput } from "./transport.ts";

/** Bytes of the seed for the core's random numbers. */
const SEED_BYTES = 32;

/** A core that runs, and who hears from it. */
export class Engine implements Receivers {
	readonly #instance: Instance;
	readonly #schedule: Schedule;
	readonly #drain: Drain;
	readonly #operations: Operations;
	readonly #sinks = new Map<Handle, Sink>();
	readonly #listeners = new Map<Handle, AnnounceListener>();
	readonly #transports = new Map<number, TransportOutput>();
	readonly #onFatal: (error: ErrorData) => void;

	/** `onFatal` is called at most once: the core crashed, and everything that waited was told. */
	constructor(memory: Memory, onFatal: (error: ErrorData) => void) {
		this.#onFatal = onFatal;
		const seed = crypto.getRandomValues(new Uint8Array(SEED_BYTES));
		this.#instance = new Instance(
			memory,
			(panic) => new Raw(panic, seed),
			(error) => this.#crashed(error),
		);
		this.#drain = new Drain(memory, this);
		this.#operations = new Operations((id) => this.call((raw) => raw.cancel(id)));
		this.#schedule = new Schedule((now) => this.#poll(now));
	}

	/** Bytes of the wasm memory. */
	get memoryBytes(): number {
		return this.#instance.memory.size;
	}

	/** What the reader of this handle delivers goes there. */
	deliver(reader: Handle, sink: Sink): void {
		this.#sinks.set(reader, sink);
	}

	/** What the listener of this handle hears goes there. */
	tell(handle: Handle, listener: AnnounceListener): void {
		this.#listeners.set(handle, listener);
	}

	/** The transport of a session starts to pump. */
	attach(session: number, transport: OpenTransport): void {
		this.#transports.set(session, transport.start(new Link(this.#instance, session, this)));
	}

	/** Let go of one object. */
	free(handle: Handle): void {
		this.call((raw) => raw.release(handle));
		this.ended(handle);
	}

	/** Release everything and stop. */
	close(): void {
		if (this.#instance.dead) return;
		// Closing sessions needs one last look at the commands; nobody is told anything else any more.
		this.#sinks.clear();
		this.#listeners.clear();
		this.#operations.rejectAll({ kind: "closed", message: "the core was closed" });
		this.call((raw) => raw.shutdown());
		this.#poll(performance.now());
		this.#schedule.close();
		this.#instance.close();
	}

	/** For links: there is input. */
	wake(): void {
		this.#schedule.wake();
	}

	/** For links: the transport is over. */
	unlink(session: number): void {
		this.#transports.delete(session);
	}

	transport(session: number): TransportOutput | undefined {
		return this.#transports.get(session);
	}

	sink(reader: Handle): Sink | undefined {
		return this.#sinks.get(reader);
	}

	listener(handle: Handle): AnnounceListener | undefined {
		return this.#listeners.get(handle);
	}

	ended(handle: Handle): void {
		this.#sinks.delete(handle);
		this.#listeners.delete(handle);
	}

	settle(operation: number, outcome: Outcome): void {
		const taken = this.#operations.settle(operation, outcome);
		// It was cancelled while this outcome was on its way: the handle would belong to nobody.
		if (!taken && outcome.type === "handle") this.free(outcome.handle);
	}

	/** Call into the core, and let it run. @throws ErrorData */
	call<T>(work: (raw: Raw) => T): T {
		const result = this.#instance.call(work);
		this.#schedule.wake();
		return result;
	}

	/** Start an operation; one that is refused at once rejects. */
	start<T>(work: (raw: Raw) => number, read: (outcome: Outcome) => T): Operation<T> {
		let operation: number;
		try {
			operation = this.call(work);
		} catch (error) {
			return refused(error as ErrorData);
		}
		return this.track(operation, read);
	}

	/** An operation that was started. */
	track<T>(operation: number, read: (outcome: Outcome) => T): Operation<T> {
		return this.#operations.add(operation, read);
	}

	/** One bounded run; returns when the next is due. */
	#poll(now: number): number {
		if (this.#instance.dead) return Number.POSITIVE_INFINITY;
		try {
			const again = this.#instance.call((raw) => raw.poll(now));
			const length = this.#instance.call((raw) => raw.commandsLength());
			if (length > 0) {
				this.#drain.run(
					this.#instance.call((raw) => raw.commandsPointer()),
					length,
				);
				this.#instance.call((raw) => raw.drained());
			}
			return again;
		} catch (error) {
			// A crash has told everybody. Anything else is a mistake of ours that must not stop the core quietly.
			if (!this.#instance.dead) throw error;
			return Number.POSITIVE_INFINITY;
		}
	}

	#crashed(error: ErrorData): void {
		this.#schedule.close();
		const sinks = [...this.#sinks.values()];
		const listeners = [...this.#listeners.values()];
		this.#sinks.clear();
		this.#listeners.clear();
		this.#transports.clear();
		this.#operations.rejectAll(error);
		for (const sink of sinks) sink.end(error);
		for (const listener of listeners) listener.end();
		this.#onFatal(error);
	}
}
