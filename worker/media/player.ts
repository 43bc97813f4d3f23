import type { CoreApi, Handle } from "../core/api.ts";
import { listen, playerRequest } from "../door/ports.ts";
import { asErrorData } from "../failure.ts";
import type { ErrorData } from "../protocol/error.ts";
import {
	type OpenPlayer,
	type PlayerEvent,
	type PlayerReport,
	type PlayerRequest,
	type PlayerState,
	type PlayerStats,
	REPORT_INTERVAL_MS,
} from "../protocol/media.ts";
import { BroadcastPlayer, type BroadcastPlayerEvents, type BroadcastSource } from "./broadcast-player.ts";
import { epochMs } from "./clock.ts";
import { missing } from "./codec.ts";
import { Patience } from "./patience.ts";
import { PictureSender } from "./picture-sender.ts";
import { Scope } from "./scope.ts";
import { Timeline } from "./timeline.ts";

/** Pause before a broadcast that ended is looked for again, ms: nothing may turn into a busy loop. */
const RETRY_MS = 500;

/** The same after failures that do not pass: they are told each time. */
const ERROR_RETRY_MS = 2000;

/** Plays the video of one path: waits for its broadcast, plays it, and waits for the next one when it is gone. */
export class Player {
	readonly #source: BroadcastSource;
	readonly #port: MessagePort;
	readonly #sender: PictureSender;
	readonly #scope = new Scope();
	readonly #received = new Timeline();
	readonly #decoded = new Timeline();
	readonly #patience = new Patience();
	readonly #counts = { receivedBytes: 0, skipped: 0, malformed: 0, restarts: 0 };
	#state: PlayerState = "waiting-announce";

	/** Starts at once. `origin` is where broadcasts are looked up. */
	constructor(core: CoreApi, origin: Handle, args: OpenPlayer) {
		this.#source = { core, origin, path: args.broadcast, preferred: args.rendition };
		this.#port = args.port;
		const fail = (error: ErrorData) => this.#fail(error);
		this.#sender = new PictureSender(args.pictures, fail);
		const report = ({ id, fromMs, toMs }: PlayerRequest) => {
			this.#post({ type: "report", id, report: this.#report(fromMs, toMs) });
		};
		listen(this.#port, playerRequest, report, fail);
		const timer = setInterval(() => this.#post({ type: "stats", stats: this.#stats() }), REPORT_INTERVAL_MS);
		this.#scope.add(() => clearInterval(timer));
		this.#post({ type: "state", state: this.#state });
		this.#run().catch((error: unknown) => this.#fail(asErrorData(error)));
	}

	/** Releases everything; the last message on the port is the state "closed". */
	close(): void {
		if (this.#state === "closed") return;
		this.#become("closed");
		try {
			this.#scope.close();
		} finally {
			this.#sender.close();
			this.#port.close();
		}
	}

	async #run(): Promise<void> {
		const { core, origin, path } = this.#source;
		const absent = missing("VideoDecoder");
		if (absent) {
			this.#setState("unsupported");
			this.#post({ type: "error", error: absent });
			return;
		}
		while (!this.#scope.isClosed) {
			const broadcast = await this.#scope.wait(core.waitForBroadcast(origin, path));
			try {
				await this.#play(broadcast);
				if (this.#state !== "ended") this.#setState("offline");
				await this.#scope.sleep(RETRY_MS);
			} catch (error) {
				if (this.#scope.isClosed) return;
				if (this.#patience.forgives()) {
					await this.#scope.sleep(RETRY_MS);
					continue;
				}
				this.#post({ type: "error", error: asErrorData(error) });
				this.#setState("offline");
				await this.#scope.sleep(ERROR_RETRY_MS);
			}
		}
	}

	/** Plays one instance of the broadcast to its end. */
	async #play(broadcast: Handle): Promise<void> {
		const { core } = this.#source;
		const scope = new Scope();
		const forget = this.#scope.add(() => scope.close());
		scope.add(() => core.free(broadcast));
		try {
			const failure = new Promise<never>((_resolve, reject) => {
				const player = new BroadcastPlayer(this.#source, broadcast, this.#events(reject));
				scope.add(() => player.close());
			});
			await Promise.race([scope.wait(core.broadcastClosed(broadcast)), failure]);
		} finally {
			forget();
			scope.close();
		}
	}

	#events(failed: (error: ErrorData) => void): BroadcastPlayerEvents {
		return {
			state: (state) => this.#setState(state),
			rendition: (rendition) => this.#post({ type: "rendition", rendition }),
			orientation: (orientation) => this.#sender.orient(orientation),
			received: (pictures, bytes) => {
				for (let i = 0; i < pictures; i++) this.#received.add(epochMs());
				this.#counts.receivedBytes += bytes;
			},
			picture: (frame) => {
				this.#decoded.add(epochMs());
				this.#sender.send(frame);
				if (this.#state === "buffering") this.#setState("playing");
			},
			skipped: (pictures) => {
				this.#counts.skipped += pictures;
			},
			malformed: () => {
				this.#counts.malformed++;
			},
			restarting: () => {
				this.#counts.restarts++;
			},
			error: (error) => this.#post({ type: "error", error }),
			failed,
		};
	}

	#stats(): PlayerStats {
		return {
			atMs: epochMs(),
			received: this.#received.count,
			decoded: this.#decoded.count,
			overtaken: this.#sender.overtaken,
			...this.#counts,
		};
	}

	#report(fromMs: number, toMs: number): PlayerReport {
		return {
			received: this.#received.between(fromMs, toMs).length,
			decoded: this.#decoded.between(fromMs, toMs).length,
			longestGapMs: this.#decoded.longestGap(fromMs, toMs),
		};
	}

	/** Nothing more is played. */
	#fail(error: ErrorData): void {
		if (this.#scope.isClosed) return;
		this.#post({ type: "error", error });
		this.#setState("error");
		this.#scope.close();
	}

	#setState(state: PlayerState): void {
		if (state !== this.#state && !this.#scope.isClosed) this.#become(state);
	}

	#become(state: PlayerState): void {
		this.#state = state;
		this.#post({ type: "state", state });
	}

	#post(event: PlayerEvent): void {
		this.#port.postMessage(event);
	}
}
