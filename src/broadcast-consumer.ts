import { Anchor } from "./anchor.ts";
import * as argument from "./argument.ts";
import { keeping } from "./collected.ts";
import { disposeByClose } from "./dispose.ts";
import { type TrackConsumer, trackConsumer } from "./track-consumer.ts";

/** Makes the object users hold. */
export let broadcastConsumer: (anchor: Anchor, path: string) => BroadcastConsumer;

/** A broadcast to read from: one instance of it, which ends when its publisher goes away. */
export class BroadcastConsumer {
	readonly #anchor: Anchor;
	/** Where it was found, relative to the origin. */
	readonly path: string;
	#isWatched = false;

	private constructor(anchor: Anchor, path: string) {
		this.#anchor = anchor;
		this.path = path;
		anchor.hold(this);
	}

	static {
		broadcastConsumer = (anchor, path) => new BroadcastConsumer(anchor, path);
	}

	/** Resolves when this handle was closed; rejects with what ended the broadcast, or with the refusal to make it. */
	get closed(): Promise<void> {
		this.#watch();
		return this.#anchor.closed;
	}

	/**
	 * Look up a track by name. Returns at once and sends nothing; when the broadcast has no such track, the track's
	 * `closed` and its next call reject with a NotFoundError.
	 */
	track(name: string): TrackConsumer {
		argument.text("name", name);
		this.#anchor.check();
		const anchor = new Anchor(this.#anchor.link, "track");
		anchor.make("track", { track: anchor.id, broadcast: this.#anchor.id, name });
		return keeping(trackConsumer(anchor, name), this);
	}

	/** Another handle to the same broadcast, to be closed on its own. */
	clone(): BroadcastConsumer {
		this.#anchor.check();
		const anchor = new Anchor(this.#anchor.link, "broadcast");
		anchor.make("cloneBroadcast", { broadcast: anchor.id, from: this.#anchor.id });
		return keeping(new BroadcastConsumer(anchor, this.path), this);
	}

	/** Let go of it. Tracks that were looked up go on. */
	close(): void {
		this.#anchor.close();
	}

	/** `close()`, for `using`; present where the engine has the symbol. */
	declare [Symbol.dispose]: () => void;

	/** Ask for the end of the broadcast the first time somebody wants to know. */
	#watch(): void {
		if (this.#isWatched || !this.#anchor.isLive) return;
		this.#isWatched = true;
		const anchor = this.#anchor;
		const operation = anchor.link.mint();
		// It rejects with the cause; there is no other end while the handle lives.
		anchor.link.call(
			"broadcastClosed",
			{ operation, broadcast: anchor.id },
			{
				resolve: () => undefined,
				reject: (error) => anchor.fail(error),
			},
		);
		anchor.onEnd(() => anchor.link.tell("cancel", operation));
	}
}

disposeByClose(BroadcastConsumer);
