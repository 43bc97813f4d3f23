import type { Id } from "../../worker/protocol/control.ts";
import type { BroadcastInfoData, TrackInfoData } from "../../worker/protocol/model.ts";
import type { Connection } from "../connect/connection.ts";
import { Anchor, anchorOf, failWith } from "../handle/anchor.ts";
import * as argument from "../handle/argument.ts";
import { keeping } from "../handle/collected.ts";
import { failure, type MoqError, usage } from "../handle/error.ts";
import { Handle } from "../handle/handle.ts";
import type { Pending, WaitOptions } from "../handle/pending.ts";
import type { RejectReason } from "../handle/reason.ts";
import type { CallArgs, Link } from "../link/link.ts";
import type { TrackWriter } from "../write/track-writer.ts";
import { type BroadcastConsumer, broadcastConsumer } from "./broadcast-consumer.ts";
import type { DynamicHandler } from "./dynamic.ts";
import type { TrackConsumer } from "./track-consumer.ts";
import { type TrackProducer, trackProducer } from "./track-producer.ts";
import { type BroadcastDynamic, broadcastDynamic, type TrackRequest } from "./track-request.ts";

/** How a broadcast is made: the way it came by where that was elsewhere, and when it is announced. */
export interface BroadcastOptions extends Partial<BroadcastInfoData> {
	/** False: {@link BroadcastProducer.announce} announces it. Default true: at once. */
	announce?: boolean;
}

/** What is known of a broadcast when it is made. `isOffered`: it has a path in an origin, where it is announced some time. */
interface At {
	path: string;
	info: BroadcastInfoData;
	isOffered: boolean;
}

/** Makes the object users hold; `make` makes it in the worker. It is `among` those of its origin until it ends. */
export let broadcastProducer: (
	link: Link,
	at: At,
	make: (anchor: Anchor) => void,
	among: Set<BroadcastProducer>,
) => BroadcastProducer;

/** Events of a {@link BroadcastProducer}. */
export interface BroadcastProducerEventMap {
	/**
	 * Not all can see the broadcast. Kind `unauthorized`: the relay of a connection, which the message names, has not asked for
	 * announcements where it is, as when the token does not let the page publish there. Told once for each connection, within two
	 * seconds; the broadcast goes on, for other connections.
	 */
	warning: MoqError;
	/**
	 * Another publisher has announced a broadcast of the same path to the relay of this connection, and the page may read there: viewers
	 * get the one that was announced last. Told once for each connection; the broadcast goes on.
	 */
	conflict: ConflictInfo;
}

/** Detail of the `conflict` event of a {@link BroadcastProducer}. */
export interface ConflictInfo {
	/** The path of the broadcast. */
	path: string;
	/** The connection by which the page hears of the other one. */
	connection: Connection;
}

/** Broadcasts that can be announced, by the id they have in the worker. */
const offered = new WeakMap<Link, Map<Id, WeakRef<BroadcastProducer>>>();

/** The relay at `url` does not ask for the broadcast with this id. */
export let warnUnheard: (link: Link, broadcast: Id, url: string) => void;

/** Another publisher announces the path of the broadcast with this id to the relay of `connection`. */
export let tellConflict: (link: Link, broadcast: Id, connection: Connection) => void;

/** A broadcast of one's own: announced until it is closed, or given to those who asked for it. */
export class BroadcastProducer extends Handle<BroadcastProducerEventMap> {
	readonly #anchor: Anchor;
	/** Held here so that a track that is only written to by a timer, or not at all, is not collected. */
	readonly #tracks = new Set<TrackProducer>();
	/** Where it is announced, relative to the origin; for one that was asked for, from its very root. */
	readonly path: string;
	/** The way it came by, as given when it was made. */
	readonly info: Readonly<BroadcastInfoData>;
	readonly #isOffered: boolean;

	private constructor(
		link: Link,
		{ path, info, isOffered }: At,
		make: (anchor: Anchor) => void,
		among: Set<BroadcastProducer>,
	) {
		const anchor = new Anchor(link, "broadcast");
		super(anchor);
		this.path = path;
		this.info = info;
		this.#anchor = anchor;
		this.#isOffered = isOffered;
		among.add(this);
		const known = offered.get(link) ?? new Map<Id, WeakRef<BroadcastProducer>>();
		offered.set(link, known);
		if (isOffered) known.set(anchor.id, new WeakRef(this));
		make(anchor);
		anchor.onEnd((error) => {
			if (error) for (const track of [...this.#tracks]) failWith(track, error);
			among.delete(this);
			known.delete(anchor.id);
		});
		anchor.hold(this);
	}

	static {
		broadcastProducer = (...args) => new BroadcastProducer(...args);
		tellConflict = (link, id, connection) => {
			const broadcast = offered.get(link)?.get(id)?.deref();
			broadcast?.emit("conflict", { path: broadcast.path, connection });
		};
		warnUnheard = (link, id, url) => {
			const broadcast = offered.get(link)?.get(id)?.deref();
			if (!broadcast) return;
			const what = `the relay at ${url} did not ask for the announcement of "${broadcast.path}"`;
			broadcast.emit(
				"warning",
				failure("unauthorized", `${what}: most likely the token does not let you publish there`),
			);
		};
	}

	/**
	 * Announce a broadcast that was created with `announce: false`; without effect on one that is announced. A refusal rejects its
	 * `closed`, as for {@link Origin.createBroadcast}.
	 * @throws UsageError for one that answers a request, which is announced to nobody.
	 */
	announce(): void {
		this.#anchor.check();
		if (!this.#isOffered) throw usage("the broadcast answers a request: it is announced nowhere");
		// What was made before it in this turn is there when a peer hears of it.
		this.#anchor.make("announceBroadcast", { broadcast: this.#anchor.id });
	}

	/**
	 * Add a track. Returns at once; a name that is taken rejects the track's `closed` and its next call.
	 * @throws UsageError naming the member of `info` that is wrong.
	 */
	createTrack(name: string, info: TrackInfoData = {}): TrackProducer {
		argument.text("name", name);
		const checked = argument.trackInfo(info);
		this.#anchor.check();
		const { link, id: broadcast } = this.#anchor;
		const make = (anchor: Anchor, port: MessagePort, writer: TrackWriter) => {
			const args: CallArgs<"createTrack"> = { producer: anchor.id, broadcast, name, info: checked, port };
			writer.hold();
			anchor.make("createTrack", args, () => {
				args.steps = writer.release();
			});
		};
		return keeping(trackProducer(link, name, checked, make, this.#tracks), this);
	}

	/**
	 * Make a track known under its own name that lives elsewhere, and lives on when this broadcast ends. Rejects with kind
	 * `duplicate` while a track of that name is open.
	 */
	insertTrack(track: TrackConsumer | TrackProducer, options?: WaitOptions): Pending<void> {
		return this.#anchor.wait(
			"insertTrack",
			() => ({ broadcast: this.#anchor.id, track: anchorOf(track, "track", this.#anchor.link).id }),
			options,
		);
	}

	/** Make a name unknown; the track itself lives on. Rejects with a NotFoundError when it was. */
	removeTrack(name: string, options?: WaitOptions): Pending<void> {
		return this.#anchor.wait(
			"removeTrack",
			() => ({ broadcast: this.#anchor.id, name: argument.text("name", name) }),
			options,
		);
	}

	/** Serve tracks that nobody has created: with a handler, or by asking the result for requests. */
	dynamic(handler?: DynamicHandler<TrackRequest>): BroadcastDynamic {
		return keeping(broadcastDynamic(this.#anchor, handler, this.#tracks), this);
	}

	/** A reader of this broadcast inside the page. */
	consume(): BroadcastConsumer {
		const producer = this.#anchor.id;
		const anchor = this.#anchor.derive("broadcast", "consume", (broadcast) => ({ broadcast, producer }));
		return keeping(broadcastConsumer(anchor, this.path, this.info), this);
	}

	/** Unannounce it and serve no more. Tracks that were not finished, also those that were asked for, fail for their readers: with `reason`, as by {@link TrackProducer.abort}. */
	override close(reason?: RejectReason): void {
		for (const track of [...this.#tracks]) track.close(reason);
		super.close();
	}
}
