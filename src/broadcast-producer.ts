import type { TrackInfoData } from "../worker/protocol/model.ts";
import { Anchor, anchorOf } from "./anchor.ts";
import * as argument from "./argument.ts";
import { type BroadcastConsumer, broadcastConsumer } from "./broadcast-consumer.ts";
import { keeping } from "./collected.ts";
import { disposeByClose } from "./dispose.ts";
import type { DynamicHandler } from "./dynamic.ts";
import type { CallArgs, Link } from "./link/link.ts";
import { Pending, type WaitOptions } from "./pending.ts";
import type { TrackConsumer } from "./track-consumer.ts";
import { type TrackProducer, trackProducer } from "./track-producer.ts";
import { type BroadcastDynamic, broadcastDynamic, type TrackRequest } from "./track-request.ts";

/** Makes the object users hold; `make` makes it in the worker. */
export let broadcastProducer: (
	link: Link,
	path: string,
	make: (anchor: Anchor) => void,
	ended?: (broadcast: BroadcastProducer) => void,
) => BroadcastProducer;

/** A broadcast of one's own: announced until it is closed, or given to those who asked for it. */
export class BroadcastProducer {
	readonly #anchor: Anchor;
	/** Held here so that a track that is only written to by a timer, or not at all, is not collected. */
	readonly #tracks = new Set<TrackProducer>();
	/** Where it is announced, relative to the origin; for one that was asked for, from its very root. */
	readonly path: string;

	private constructor(
		link: Link,
		path: string,
		make: (anchor: Anchor) => void,
		ended?: (broadcast: BroadcastProducer) => void,
	) {
		this.path = path;
		const anchor = new Anchor(link, "broadcast");
		this.#anchor = anchor;
		make(anchor);
		if (ended) anchor.onEnd(() => ended(this));
		anchor.hold(this);
	}

	static {
		broadcastProducer = (...args) => new BroadcastProducer(...args);
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
		const made = trackProducer(
			this.#anchor.link,
			name,
			checked,
			(anchor, port) =>
				anchor.make("createTrack", { producer: anchor.id, broadcast: this.#anchor.id, name, info: checked, port }),
			(ended) => this.#tracks.delete(ended),
		);
		const track = keeping(made, this);
		this.#tracks.add(track);
		return track;
	}

	/**
	 * Make a track known under its own name that lives elsewhere, and lives on when this broadcast ends. Rejects with kind
	 * `duplicate` while a track of that name is open.
	 */
	insertTrack(track: TrackConsumer | TrackProducer, options?: WaitOptions): Pending<void> {
		return this.#tell(
			"insertTrack",
			() => ({ broadcast: this.#anchor.id, track: anchorOf(track, "track").id }),
			options,
		);
	}

	/** Make a name unknown; the track itself lives on. Rejects with a NotFoundError when it was. */
	removeTrack(name: string, options?: WaitOptions): Pending<void> {
		return this.#tell(
			"removeTrack",
			() => ({ broadcast: this.#anchor.id, name: argument.text("name", name) }),
			options,
		);
	}

	/** Serve tracks that nobody has created: with a handler, or by asking the result for requests. */
	dynamic(handler?: DynamicHandler<TrackRequest>): BroadcastDynamic {
		return keeping(broadcastDynamic(this.#anchor, handler), this);
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

	#tell<Name extends "insertTrack" | "removeTrack">(
		name: Name,
		args: () => CallArgs<Name>,
		options: WaitOptions | undefined,
	): Pending<void> {
		return new Pending((resolve, reject) => {
			this.#anchor.check();
			this.#anchor.link.call(name, args(), { resolve: () => resolve(), reject });
			return undefined;
		}, options);
	}
}

disposeByClose(BroadcastProducer);
