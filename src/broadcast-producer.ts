import type { TrackInfoData } from "../worker/protocol/model.ts";
import { Anchor } from "./anchor.ts";
import * as argument from "./argument.ts";
import { type BroadcastConsumer, broadcastConsumer } from "./broadcast-consumer.ts";
import { keeping } from "./collected.ts";
import { disposeByClose } from "./dispose.ts";
import { type TrackProducer, trackProducer } from "./track-producer.ts";

/** Makes the object users hold and announces it. */
export let broadcastProducer: (
	origin: Anchor,
	path: string,
	ended: (broadcast: BroadcastProducer) => void,
) => BroadcastProducer;

/** A broadcast of one's own, announced until it is closed. */
export class BroadcastProducer {
	readonly #anchor: Anchor;
	/** Held here so that a track that is only written to by a timer, or not at all, is not collected. */
	readonly #tracks = new Set<TrackProducer>();
	/** Where it is announced, relative to the origin. */
	readonly path: string;

	private constructor(origin: Anchor, path: string, ended: (broadcast: BroadcastProducer) => void) {
		this.path = path;
		const anchor = new Anchor(origin.link, "broadcast");
		this.#anchor = anchor;
		anchor.make("createBroadcast", { broadcast: anchor.id, origin: origin.id, path });
		anchor.onEnd(() => ended(this));
		anchor.hold(this);
	}

	static {
		broadcastProducer = (origin, path, ended) => new BroadcastProducer(origin, path, ended);
	}

	/** Resolves when it was closed; rejects when it was refused (an UnauthorizedError, say) or the worker died. */
	get closed(): Promise<void> {
		return this.#anchor.closed;
	}

	/**
	 * Add a track. Returns at once; a name that is taken rejects the track's `closed` and its next call.
	 * @throws UsageError naming the member of `info` that is wrong.
	 */
	createTrack(name: string, info: TrackInfoData = {}): TrackProducer {
		argument.text("name", name);
		const checked = argument.trackInfo(info);
		this.#anchor.check();
		const made = trackProducer(this.#anchor, name, checked, (ended) => this.#tracks.delete(ended));
		const track = keeping(made, this);
		this.#tracks.add(track);
		return track;
	}

	/** A reader of this broadcast inside the page. */
	consume(): BroadcastConsumer {
		this.#anchor.check();
		const anchor = new Anchor(this.#anchor.link, "broadcast");
		anchor.make("consume", { broadcast: anchor.id, producer: this.#anchor.id });
		return keeping(broadcastConsumer(anchor, this.path), this);
	}

	/** Unannounce it. Tracks that were not finished fail for their readers. */
	close(): void {
		for (const track of [...this.#tracks]) track.close();
		this.#anchor.close();
	}

	/** `close()`, for `using`; present where the engine has the symbol. */
	declare [Symbol.dispose]: () => void;
}

disposeByClose(BroadcastProducer);
