import type { CoreApi, Handle } from "../core/api.ts";
import { asErrorData } from "../failure.ts";
import type { ErrorData } from "../protocol/error.ts";
import type { Orientation, PlayerState, PlayingRendition } from "../protocol/media.ts";
import { type Catalog, sameDecoder } from "./catalog.ts";
import { CatalogWatch } from "./catalog-watch.ts";
import { Patience } from "./patience.ts";
import { resolveBroadcast } from "./relative.ts";
import { chooseRendition, type PlayableRendition } from "./rendition.ts";
import { Scope } from "./scope.ts";
import { VideoTrack, type VideoTrackEvents } from "./video-track.ts";

/**
 * Pause before something that broke is looked at again, ms. A broadcast that goes away takes its tracks with it first, and
 * a relay may refuse a track in the moment in which it lets go of it; neither is an error if it passes.
 */
const RETRY_MS = 500;

/** Pause after a failure that did not pass, ms: each is told. */
const ERROR_RETRY_MS = 2000;

/** What to play, and where to look for it. */
export interface BroadcastSource {
	core: CoreApi;
	/** Where other broadcasts are looked up that a rendition may name. */
	origin: Handle;
	/** Path of the broadcast in that origin. */
	path: string;
	/** Name of the rendition to prefer. */
	preferred?: string | undefined;
}

/** What a {@link BroadcastPlayer} tells its owner. */
export interface BroadcastPlayerEvents extends Pick<VideoTrackEvents, "received" | "picture" | "skipped"> {
	state(state: PlayerState): void;
	rendition(rendition: PlayingRendition): void;
	orientation(orientation: Orientation): void;
	/** A catalog or a frame was malformed. */
	malformed(): void;
	/** The decoder failed and starts anew. */
	restarting(): void;
	/** Something failed that people should know; playing goes on where it can. */
	error(error: ErrorData): void;
	/** The catalog cannot be followed any more. Last event. */
	failed(error: ErrorData): void;
}

interface Playing extends PlayableRendition {
	scope: Scope;
}

/** Plays one instance of a broadcast: follows its catalog, chooses a rendition, changes over when that goes away. */
export class BroadcastPlayer {
	readonly #source: BroadcastSource;
	readonly #broadcast: Handle;
	readonly #events: BroadcastPlayerEvents;
	readonly #scope = new Scope();
	/** The newest catalog, and whether it has been acted on. */
	#catalog: Catalog | undefined;
	#isStale = false;
	#isChoosing = false;
	#playing: Playing | undefined;
	/** Names of renditions whose decoder was given up although the browser had claimed it. */
	readonly #failed = new Set<string>();
	readonly #patience = new Patience();

	/** Starts at once; `broadcast` stays its owner's. Throws the core's `ErrorData` when there is no catalog track. */
	constructor(source: BroadcastSource, broadcast: Handle, events: BroadcastPlayerEvents) {
		this.#source = source;
		this.#broadcast = broadcast;
		this.#events = events;
		events.state("loading-catalog");
		const watch = new CatalogWatch(source.core, broadcast, {
			catalog: (catalog) => this.#follow(catalog),
			malformed: (cause) => {
				events.malformed();
				events.error({ kind: "protocol", message: `catalog not acceptable: ${cause.message}` });
			},
			end: (error) => (error ? this.#later(() => events.failed(error)) : events.state("ended")),
		});
		this.#scope.add(() => watch.close());
	}

	close(): void {
		this.#scope.close();
	}

	/** Catalogs are acted on one after the other: probing a decoder takes time, and only the newest counts then. */
	#follow(catalog: Catalog): void {
		this.#catalog = catalog;
		this.#isStale = true;
		if (this.#isChoosing) return;
		this.#isChoosing = true;
		this.#choose().catch((error: unknown) => {
			if (!this.#scope.isClosed) this.#events.failed(asErrorData(error));
		});
	}

	async #choose(): Promise<void> {
		try {
			while (this.#isStale && this.#catalog && !this.#scope.isClosed) {
				this.#isStale = false;
				await this.#changeTo(this.#catalog);
			}
		} finally {
			// In the same turn as the last look at the catalog, or one that comes in between would be lost.
			this.#isChoosing = false;
		}
	}

	async #changeTo(catalog: Catalog): Promise<void> {
		const current = this.#playing && catalog.video.get(this.#playing.rendition.name);
		// A republished catalog that does not change the decoder must not interrupt the picture.
		if (current && this.#playing && sameDecoder(current, this.#playing.rendition)) {
			this.#events.orientation(orientationOf(catalog));
			return;
		}
		const reasons = catalog.rejected.filter(({ section }) => section === "video").map(describe);
		const candidates = [...catalog.video.values()].filter(({ name }) => !this.#failed.has(name));
		const choice = await chooseRendition(candidates, this.#source.preferred, ({ name }, reason) =>
			reasons.push(describe({ name, reason })),
		);
		if (this.#scope.isClosed || this.#isStale) return;
		this.#playing?.scope.close();
		this.#playing = undefined;
		this.#events.orientation(orientationOf(catalog));
		if (choice) this.#start(choice);
		else if (catalog.video.size + reasons.length === 0) this.#events.state("loading-catalog");
		else {
			this.#events.state("unsupported");
			const message = `no playable video rendition: ${reasons.join("; ") || "all of them failed"}`;
			this.#events.error({ kind: "unsupported", message });
		}
	}

	#start(choice: PlayableRendition): void {
		const scope = new Scope();
		this.#scope.add(() => scope.close());
		const playing = { ...choice, scope };
		this.#playing = playing;
		const broken = (error: ErrorData): void => {
			if (scope.isClosed) return;
			if (this.#patience.forgives()) {
				this.#again(playing);
				return;
			}
			this.#events.error(error);
			void scope.sleep(ERROR_RETRY_MS).then(() => this.#again(playing));
		};
		this.#play(playing, broken).catch((error: unknown) => {
			if (!scope.isClosed) this.#later(() => broken(asErrorData(error)), scope);
		});
	}

	/** Subscribes to the chosen rendition. */
	async #play(playing: Playing, broken: (error: ErrorData) => void): Promise<void> {
		const { rendition, config, demuxer, scope } = playing;
		const events = this.#events;
		const source = await this.#sourceOf(rendition.broadcast, scope);
		if (scope.isClosed) return;
		const track = new VideoTrack(
			this.#source.core,
			source,
			rendition.name,
			{ demuxer, config },
			{
				received: events.received,
				picture: events.picture,
				skipped: events.skipped,
				malformed: events.malformed,
				restarting: events.restarting,
				failed: (cause) => {
					this.#failed.add(rendition.name);
					const message = `decoder for ${config.codec} failed repeatedly: ${cause.message}`;
					events.error({ kind: "unsupported", message });
					this.#again(playing);
				},
				// A finished track ends with its broadcast or its catalog entry; a broken one is worth another try.
				end: (error) => error && this.#later(() => broken(error), scope),
			},
		);
		scope.add(() => track.close());
		events.state("buffering");
		const { codedWidth, codedHeight, framerate } = rendition;
		events.rendition({
			name: rendition.name,
			codec: config.codec,
			container: rendition.container.kind,
			...(codedWidth && codedHeight && { width: codedWidth, height: codedHeight }),
			...(framerate && { framerate }),
		});
	}

	/** Chooses anew, from the newest catalog. */
	#again(playing: Playing): void {
		playing.scope.close();
		if (this.#playing === playing) this.#playing = undefined;
		if (this.#catalog) this.#follow(this.#catalog);
	}

	/** The broadcast that carries a rendition's track: the catalog's own unless the rendition names another. */
	async #sourceOf(reference: string | undefined, scope: Scope): Promise<Handle> {
		const { core, origin, path } = this.#source;
		if (reference === undefined) return this.#broadcast;
		const target = resolveBroadcast(path, reference);
		if (target === undefined)
			throw { kind: "unsupported", message: `broadcast ${reference} is outside the root` } satisfies ErrorData;
		if (target === path) return this.#broadcast;
		const other = await scope.wait(core.waitForBroadcast(origin, target));
		scope.add(() => core.free(other));
		return other;
	}

	#later(step: () => void, scope = this.#scope): void {
		void scope.sleep(RETRY_MS).then(step);
	}
}

function orientationOf({ rotation, flip }: Catalog): Orientation {
	return { rotation, flip };
}

function describe({ name, reason }: { name: string; reason: string }): string {
	return `${JSON.stringify(name)}: ${reason}`;
}
