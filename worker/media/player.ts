import type { CoreApi, Handle } from "../core/api.ts";
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
import { type Catalog, sameDecoder } from "./catalog.ts";
import { CatalogWatch } from "./catalog-watch.ts";
import { epochMs } from "./clock.ts";
import { asErrorData } from "./failure.ts";
import { PictureSender } from "./picture-sender.ts";
import { resolveBroadcast } from "./relative.ts";
import { chooseRendition, type PlayableRendition } from "./rendition.ts";
import { Scope } from "./scope.ts";
import { Timeline } from "./timeline.ts";
import { VideoTrack } from "./video-track.ts";

/** Pause before a broadcast or a track that ended is tried again, ms: nothing may turn into a busy loop. */
const RETRY_MS = 500;

/** The same after an error: it is told each time. */
const ERROR_RETRY_MS = 2000;

/** What is playing now. */
interface Playing extends PlayableRendition {
	scope: Scope;
}

/** Plays the video of one broadcast: waits for it, follows its catalog, decodes, hands pictures on. Never ends by itself. */
export class Player {
	readonly #core: CoreApi;
	readonly #origin: Handle;
	readonly #path: string;
	readonly #preferred: string | undefined;
	readonly #port: MessagePort;
	readonly #sender: PictureSender;
	readonly #scope = new Scope();
	readonly #received = new Timeline();
	readonly #decoded = new Timeline();
	readonly #counts = { receivedBytes: 0, skipped: 0, malformed: 0, restarts: 0 };
	#state: PlayerState = "waiting-announce";
	#playing: Playing | undefined;
	/** The newest catalog that has not been acted on. */
	#catalog: Catalog | undefined;
	#isChoosing = false;
	/** Renditions that failed here although the browser claimed them, by name. */
	readonly #failed = new Set<string>();

	/** Starts at once. `origin` is where broadcasts are looked up. */
	constructor(core: CoreApi, origin: Handle, args: OpenPlayer) {
		this.#core = core;
		this.#origin = origin;
		this.#path = args.broadcast;
		this.#preferred = args.rendition;
		this.#port = args.port;
		this.#sender = new PictureSender(args.pictures);
		this.#port.onmessage = ({ data }: MessageEvent<PlayerRequest>) => {
			this.#post({ type: "report", id: data.id, report: this.#report(data.fromMs, data.toMs) });
		};
		const timer = setInterval(() => this.#post({ type: "stats", stats: this.#stats() }), REPORT_INTERVAL_MS);
		this.#scope.add(() => clearInterval(timer));
		this.#post({ type: "state", state: this.#state });
		this.#run().catch((error: unknown) => this.#giveUp(asErrorData(error)));
	}

	/** Releases everything; the last message on the port is the state "closed". */
	close(): void {
		if (this.#scope.isClosed) return;
		this.#setState("closed");
		try {
			this.#scope.close();
		} finally {
			this.#sender.close();
			this.#port.close();
		}
	}

	async #run(): Promise<void> {
		while (!this.#scope.isClosed) {
			const broadcast = await this.#scope.wait(this.#core.waitForBroadcast(this.#origin, this.#path));
			try {
				await this.#watch(broadcast);
				await this.#scope.sleep(RETRY_MS);
			} catch (error) {
				if (this.#scope.isClosed) return;
				this.#post({ type: "error", error: asErrorData(error) });
				this.#setState("offline");
				await this.#scope.sleep(ERROR_RETRY_MS);
			}
		}
	}

	/** Follows one instance of the broadcast to its end. */
	async #watch(broadcast: Handle): Promise<void> {
		const scope = new Scope();
		const leave = this.#scope.add(() => scope.close());
		scope.add(() => this.#core.free(broadcast));
		this.#failed.clear();
		try {
			this.#setState("loading-catalog");
			const watch = new CatalogWatch(this.#core, broadcast, {
				catalog: (catalog) => this.#follow(broadcast, scope, catalog),
				malformed: () => this.#counts.malformed++,
				end: (error) => (error ? this.#post({ type: "error", error }) : this.#setState("ended")),
			});
			scope.add(() => watch.close());
			await scope.wait(this.#core.broadcastClosed(broadcast));
			if (this.#state !== "ended") this.#setState("offline");
		} finally {
			leave();
			this.#playing = undefined;
			this.#catalog = undefined;
			scope.close();
		}
	}

	/** Acts on catalogs one after the other: probing a decoder takes time, and only the newest catalog counts then. */
	#follow(broadcast: Handle, scope: Scope, catalog: Catalog): void {
		this.#catalog = catalog;
		if (this.#isChoosing) return;
		this.#isChoosing = true;
		const stopped = (error: unknown): void => {
			if (!scope.isClosed) this.#giveUp(asErrorData(error));
		};
		this.#choose(broadcast, scope).catch(stopped);
	}

	async #choose(broadcast: Handle, scope: Scope): Promise<void> {
		try {
			await this.#chooseNewest(broadcast, scope);
		} finally {
			// In the same turn as the last look at the newest catalog, or one that comes in between would be lost.
			this.#isChoosing = false;
		}
	}

	async #chooseNewest(broadcast: Handle, scope: Scope): Promise<void> {
		for (let catalog = this.#catalog; catalog && !scope.isClosed; catalog = this.#catalog) {
			this.#catalog = undefined;
			const current = this.#playing && catalog.video.get(this.#playing.rendition.name);
			// A republished catalog that does not change the decoder must not interrupt the picture.
			if (current && this.#playing && sameDecoder(current, this.#playing.rendition)) {
				this.#sender.orient(catalog);
				continue;
			}
			const reasons: string[] = catalog.rejected.filter(({ section }) => section === "video").map(describe);
			const candidates = [...catalog.video.values()].filter(({ name }) => !this.#failed.has(name));
			const choice = await chooseRendition(candidates, this.#preferred, (rendition, reason) =>
				reasons.push(describe({ name: rendition.name, reason })),
			);
			if (scope.isClosed || this.#catalog) continue;
			this.#playing?.scope.close();
			this.#playing = undefined;
			this.#sender.orient(catalog);
			if (choice) this.#start(broadcast, scope, choice, catalog);
			else if (catalog.video.size + reasons.length === 0) this.#setState("loading-catalog");
			else {
				this.#setState("unsupported");
				const message = `no playable video rendition: ${reasons.join("; ") || "all of them failed"}`;
				this.#post({ type: "error", error: { kind: "unsupported", message } });
			}
		}
	}

	#start(broadcast: Handle, watching: Scope, choice: PlayableRendition, catalog: Catalog): void {
		const scope = new Scope();
		watching.add(() => scope.close());
		const playing = { ...choice, scope };
		this.#playing = playing;
		const again = (): void => {
			if (scope.isClosed) return;
			scope.close();
			if (this.#playing === playing) this.#playing = undefined;
			this.#follow(broadcast, watching, this.#catalog ?? catalog);
		};
		this.#play(broadcast, playing, again).catch((error: unknown) => {
			if (scope.isClosed) return;
			this.#post({ type: "error", error: asErrorData(error) });
			void scope.sleep(ERROR_RETRY_MS).then(again);
		});
	}

	/** Subscribes to the chosen rendition. `again` chooses anew. */
	async #play(broadcast: Handle, { rendition, config, demuxer, scope }: Playing, again: () => void): Promise<void> {
		const source = await this.#sourceOf(rendition.broadcast, broadcast, scope);
		if (scope.isClosed) return;
		const track = new VideoTrack(
			this.#core,
			source,
			rendition.name,
			{ demuxer, config },
			{
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
				malformed: () => this.#counts.malformed++,
				restarting: () => this.#counts.restarts++,
				failed: (cause) => {
					this.#failed.add(rendition.name);
					const message = `decoder for ${config.codec} failed repeatedly: ${cause.message}`;
					this.#post({ type: "error", error: { kind: "unsupported", message } });
					again();
				},
				end: (error) => {
					// A finished track ends with its broadcast or its catalog entry; a broken one is worth another try.
					if (error) void scope.sleep(RETRY_MS).then(again);
				},
			},
		);
		scope.add(() => track.close());
		const { codedWidth, codedHeight, framerate } = rendition;
		this.#setState("buffering");
		this.#post({
			type: "rendition",
			rendition: {
				name: rendition.name,
				codec: config.codec,
				container: rendition.container.kind,
				...(codedWidth && codedHeight && { width: codedWidth, height: codedHeight }),
				...(framerate && { framerate }),
			},
		});
	}

	/** The broadcast that carries a rendition's track: the catalog's own unless the rendition names another. */
	async #sourceOf(reference: string | undefined, own: Handle, scope: Scope): Promise<Handle> {
		if (reference === undefined) return own;
		const path = resolveBroadcast(this.#path, reference);
		if (path === undefined)
			throw { kind: "unsupported", message: `broadcast ${reference} is outside the root` } satisfies ErrorData;
		if (path === this.#path) return own;
		const other = await scope.wait(this.#core.waitForBroadcast(this.#origin, path));
		scope.add(() => this.#core.free(other));
		return other;
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

	#setState(state: PlayerState): void {
		if (state === this.#state || this.#scope.isClosed) return;
		this.#state = state;
		this.#post({ type: "state", state });
	}

	#giveUp(error: ErrorData): void {
		if (this.#scope.isClosed) return;
		this.#post({ type: "error", error });
		this.#setState("error");
	}

	#post(event: PlayerEvent): void {
		this.#port.postMessage(event);
	}
}

function describe({ name, reason }: { name: string; reason: string }): string {
	return `${JSON.stringify(name)}: ${reason}`;
}
