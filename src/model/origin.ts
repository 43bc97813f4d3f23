import { Anchor, anchorOf, failWith } from "../handle/anchor.ts";
import * as argument from "../handle/argument.ts";
import { keeping } from "../handle/collected.ts";
import { Handle } from "../handle/handle.ts";
import { Pending, type WaitOptions } from "../handle/pending.ts";
import type { CallArgs, Link } from "../link/link.ts";
import { type AnnounceStream, announceStream } from "./announced.ts";
import { type BroadcastConsumer, broadcastConsumer } from "./broadcast-consumer.ts";
import { type BroadcastOptions, type BroadcastProducer, broadcastProducer } from "./broadcast-producer.ts";
import { type BroadcastRequest, type DynamicOptions, type OriginDynamic, originDynamic } from "./broadcast-request.ts";
import type { DynamicHandler } from "./dynamic.ts";

/** Makes the object users hold. */
export let makeOrigin: (link: Link) => Origin;

let originView: (origin: Anchor, by: CallArgs<"viewOrigin">["by"]) => Origin;

let publication: (anchor: Anchor, path: string) => Publication;

/** A broadcast announced in one more place, until it is closed. */
export class Publication extends Handle {
	/** Where it is announced. */
	readonly path: string;

	/** Made by {@link Origin.publish}. */
	private constructor(anchor: Anchor, path: string) {
		super(anchor);
		this.path = path;
	}

	static {
		publication = (anchor, path) => new Publication(anchor, path);
	}
}

/**
 * A table of broadcasts by path, or a view of one. Closing it withdraws what was announced by this handle, and ends its views,
 * handlers and streams of announcements. A connection offers what one origin holds to its peer and fills another with what the peer
 * announces; by default both are the same. Sharing an origin between connections joins them.
 */
export class Origin extends Handle {
	readonly #anchor: Anchor;
	/** Held here so that a broadcast nobody refers to stays announced until it is closed. */
	readonly #broadcasts = new Set<BroadcastProducer>();

	private constructor(link: Link, make: (anchor: Anchor) => void) {
		const anchor = new Anchor(link, "origin");
		super(anchor);
		this.#anchor = anchor;
		make(anchor);
		const broadcasts = this.#broadcasts;
		anchor.onEnd((error) => {
			for (const broadcast of [...broadcasts]) {
				if (error) failWith(broadcast, error);
				else broadcast.close();
			}
		});
		anchor.hold(this);
	}

	static {
		makeOrigin = (link) => new Origin(link, (anchor) => anchor.make("createOrigin", { origin: anchor.id }));
		originView = (origin, by) => {
			origin.check();
			const args = { origin: origin.id, by };
			return new Origin(origin.link, (anchor) => origin.bind(anchor).make("viewOrigin", { ...args, view: anchor.id }));
		};
	}

	/** What is announced under `prefix`, now and later. */
	announced(prefix = ""): AnnounceStream {
		argument.text("prefix", prefix);
		return keeping(announceStream(this.#anchor, prefix), this);
	}

	/** The broadcast at `path` if it is announced now; rejects with a NotFoundError at once when it is not. */
	requestBroadcast(path: string, options?: WaitOptions): Pending<BroadcastConsumer> {
		return this.#broadcast("requestBroadcast", path, options);
	}

	/** Waits until `path` is announced. */
	waitForBroadcast(path: string, options?: WaitOptions): Pending<BroadcastConsumer> {
		return this.#broadcast("waitForBroadcast", path, options);
	}

	/**
	 * A new broadcast, announced under `path`, at once unless `announce` is false; with `hops` where it came from elsewhere, so that it
	 * goes nowhere twice. What is made of it in the same turn is there when a peer hears of it. A refusal rejects its `closed`: an
	 * UnauthorizedError, or kind `duplicate` when it has passed this origin.
	 * @throws UsageError naming the option that is wrong.
	 */
	createBroadcast(path: string, options: BroadcastOptions = {}): BroadcastProducer {
		const at = { path: argument.text("path", path), info: argument.broadcastInfo(options), isOffered: true };
		const isPlanned = !argument.flag("announce", options.announce ?? true);
		this.#anchor.check();
		const { link, id: origin } = this.#anchor;
		const args = { origin, path, info: at.info, isPlanned };
		const make = (anchor: Anchor) => anchor.make("createBroadcast", { broadcast: anchor.id, ...args });
		return keeping(broadcastProducer(link, at, make, this.#broadcasts), this);
	}

	/** Announce a broadcast that was found elsewhere under `path`, until the result is closed. */
	publish(path: string, broadcast: BroadcastConsumer): Publication {
		argument.text("path", path);
		const { id: from } = anchorOf(broadcast, "broadcast", this.#anchor.link);
		const { id: origin } = this.#anchor;
		const args = { origin, path, broadcast: from };
		const anchor = this.#anchor.bind(
			this.#anchor.derive("publication", "publish", (made) => ({ ...args, publication: made })),
		);
		return keeping(publication(anchor, path), this, broadcast);
	}

	/**
	 * Serve paths that nobody announces: with a handler, or by asking the result for requests. What is served this way is announced
	 * to nobody.
	 */
	dynamic(handler?: DynamicHandler<BroadcastRequest>, options: DynamicOptions = {}): OriginDynamic {
		argument.record("the options", options);
		return keeping(originDynamic(this.#anchor, handler, options, this.#broadcasts), this);
	}

	/** The same origin, limited to what lies under these prefixes. Refused when nothing under them is in reach. */
	scope(prefixes: readonly string[]): Origin {
		return originView(this.#anchor, {
			prefixes: argument.list("prefixes", prefixes).map((prefix) => argument.text("prefixes", prefix)),
		});
	}

	/** The same origin with paths relative to `root`. Refused when nothing under it is in reach. */
	withRoot(root: string): Origin {
		return originView(this.#anchor, { root: argument.text("root", root) });
	}

	#broadcast(
		call: "requestBroadcast" | "waitForBroadcast",
		path: string,
		options: WaitOptions | undefined,
	): Pending<BroadcastConsumer> {
		return Pending.from(() => {
			argument.text("path", path);
			const { link, id: origin } = this.#anchor;
			return this.#anchor.wait(
				call,
				(broadcast) => ({ broadcast, origin, path }),
				options,
				(info, id) => keeping(broadcastConsumer(new Anchor(link, "broadcast", id), path, info), this),
			);
		});
	}
}
