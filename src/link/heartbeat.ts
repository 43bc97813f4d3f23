import { HEARTBEAT_MISSES, HEARTBEAT_MS } from "../../worker/protocol/limits.ts";
import { failure, type MoqError } from "../handle/error.ts";

/** What a heartbeat needs from its link. */
export interface Patient {
	/** Resolves when the worker answered. */
	ping(): Promise<void>;
	/** Whether anything waits for the worker; without that its silence harms nobody. */
	isNeeded(): boolean;
	dead(error: MoqError): void;
}

/**
 * Finds a worker that is silent: terminated from outside, or wedged in a loop. A worker that dies with an event is
 * known without this.
 */
export class Heartbeat {
	readonly #patient: Patient;
	#timer: ReturnType<typeof setInterval> | undefined;
	#lastTickMs = 0;
	#misses = 0;
	#waiting = false;

	constructor(patient: Patient) {
		this.#patient = patient;
	}

	/** Something waits from now on. */
	wake(): void {
		if (this.#timer !== undefined) return;
		this.#misses = 0;
		this.#waiting = false;
		this.#lastTickMs = performance.now();
		this.#timer = setInterval(() => this.#tick(), HEARTBEAT_MS);
		this.#beat();
	}

	/** The worker gave a sign of life. */
	heard(): void {
		this.#misses = 0;
	}

	stop(): void {
		clearInterval(this.#timer);
		this.#timer = undefined;
	}

	#tick(): void {
		if (!this.#patient.isNeeded()) {
			this.stop();
			return;
		}
		const now = performance.now();
		// A page that was blocked, throttled or frozen could not hear an answer: that tick proves nothing.
		const isLate = now - this.#lastTickMs > HEARTBEAT_MS * 1.5;
		this.#lastTickMs = now;
		if (this.#waiting && !isLate) {
			this.#misses++;
			if (this.#misses >= HEARTBEAT_MISSES) {
				const seconds = (HEARTBEAT_MISSES * HEARTBEAT_MS) / 1000;
				const message = `the worker has not answered for ${seconds} s: it was terminated, or is stuck`;
				this.#patient.dead(failure("worker-crashed", message));
				return;
			}
		}
		this.#beat();
	}

	#beat(): void {
		if (this.#waiting) return;
		this.#waiting = true;
		// Rejection means that the link died, and the heartbeat with it.
		this.#patient.ping().then(
			() => {
				this.#waiting = false;
				this.heard();
			},
			() => undefined,
		);
	}
}
