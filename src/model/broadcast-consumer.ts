import type { BroadcastInfoData } from "../../worker/protocol/model.ts";
import type { Anchor } from "../handle/anchor.ts";
import * as argument from "../handle/argument.ts";
import { keeping } from "../handle/collected.ts";
import { Handle } from "../handle/handle.ts";
import { type TrackConsumer, trackConsumer } from "./track-consumer.ts";

/** Makes the object users hold. */
export let broadcastConsumer: (anchor: Anchor, path: string, info: BroadcastInfoData) => BroadcastConsumer;

/**
 * A broadcast to read from: one instance of it, which ends when its publisher goes away. Tracks that were looked up outlive the
 * handle.
 */
export class BroadcastConsumer extends Handle {
	readonly #anchor: Anchor;
	/** Where it was found, relative to the origin. */
	readonly path: string;
	/** The way it came by. Another handle to it may have come by another one. */
	readonly info: Readonly<BroadcastInfoData>;
	#isWatched = false;

	private constructor(anchor: Anchor, path: string, info: BroadcastInfoData) {
		super(anchor);
		this.#anchor = anchor;
		this.path = path;
		this.info = info;
		anchor.hold(this);
	}

	static {
		broadcastConsumer = (...args) => new BroadcastConsumer(...args);
	}

	/** Resolves when this handle was closed; rejects with what ended the broadcast, or with the refusal to make it. */
	override get closed(): Promise<void> {
		this.#watch();
		return super.closed;
	}

	/**
	 * Look up a track by name. Returns at once and sends nothing; when the broadcast has no such track, the track's
	 * `closed` and its next call reject with a NotFoundError.
	 */
	track(name: string): TrackConsumer {
		argument.text("name", name);
		const anchor = this.#anchor.derive("track", "track", (track) => ({ track, broadcast: this.#anchor.id, name }));
		return keeping(trackConsumer(anchor, name), this);
	}

	/** Another handle to the same broadcast, to be closed on its own. */
	clone(): BroadcastConsumer {
		const from = this.#anchor.id;
		const anchor = this.#anchor.derive("broadcast", "cloneBroadcast", (broadcast) => ({ broadcast, from }));
		return keeping(new BroadcastConsumer(anchor, this.path, this.info), this);
	}

	/** Ask for the end of the broadcast the first time somebody wants to know. */
	#watch(): void {
		if (this.#isWatched || !this.#anchor.isLive) return;
		this.#isWatched = true;
		const anchor = this.#anchor;
		const operation = anchor.link.mint();
		// It rejects with the cause; there is no other end while the handle lives.
		anchor.make("broadcastClosed", { operation, broadcast: anchor.id });
		anchor.onEnd(() => anchor.link.tell("cancel", operation));
	}
}
