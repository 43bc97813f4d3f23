import { ANNOUNCE_WINDOW } from "../../worker/protocol/limits.ts";
import type { AnnounceEvent } from "../../worker/protocol/model.ts";
import type { AnnounceData, AnnouncePortEvent, AnnounceRequest } from "../../worker/protocol/port.ts";
import { Anchor } from "../handle/anchor.ts";
import { keeping } from "../handle/collected.ts";
import { errorFrom, type MoqError } from "../handle/error.ts";
import { Handle } from "../handle/handle.ts";
import { iteration, step } from "../handle/iteration.ts";
import { Line } from "../handle/line.ts";
import type { Pending, WaitOptions } from "../handle/pending.ts";
import type { Link } from "../link/link.ts";
import { type BroadcastConsumer, broadcastConsumer } from "./broadcast-consumer.ts";

/** Makes the object users hold; `data.record` belongs to it. */
let makeAnnouncement: (link: Link, data: AnnounceData) => Announcement;

/** One event of an {@link AnnounceStream}. */
export class Announcement {
	/** Relative to the origin's root, prefix included. */
	readonly path: string;
	/** The broadcast appeared, was replaced without a gap, or went away. */
	readonly event: AnnounceEvent;
	/** Ids of the origins it passed, first hop first; decimal text. */
	readonly hops: readonly string[];
	/** The broadcast, until it is taken out; an end has none. */
	readonly #anchor: Anchor | undefined;
	#isRetained = false;
	#broadcast: BroadcastConsumer | undefined;

	private constructor(link: Link, data: AnnounceData) {
		if (data.event !== "ended") {
			this.#anchor = new Anchor(link, "broadcast", data.record);
			this.#anchor.hold(this);
		}
		this.path = data.path;
		this.event = data.event;
		this.hops = data.hops;
	}

	static {
		makeAnnouncement = (link, data) => new Announcement(link, data);
	}

	/**
	 * The broadcast, to be closed by whoever reads this; undefined when it ended. Every read gives the same handle, which
	 * outlives the announcement.
	 * @throws ClosedError when the announcement was freed first.
	 */
	get broadcast(): BroadcastConsumer | undefined {
		const anchor = this.#anchor;
		if (anchor && !this.#broadcast) {
			anchor.check();
			this.#broadcast = keeping(broadcastConsumer(anchor, this.path, { hops: this.hops }), this);
		}
		return this.#broadcast;
	}

	/** Keep it when the iteration goes on: whoever retains it frees it. */
	retain(): void {
		this.#isRetained = true;
	}

	/** Let go of it. Later calls do nothing, and a broadcast that was taken out goes on. */
	free(): void {
		if (!this.#broadcast) this.#anchor?.close();
	}

	/** What an iteration does with the announcement it leaves behind. */
	release(): void {
		if (!this.#isRetained) this.free();
	}
}

/** Makes the object users hold. */
export let announceStream: (origin: Anchor, prefix: string) => AnnounceStream;

type End = { type: "open" } | { type: "closed" } | { type: "failed"; error: MoqError };

/** The state of an announce stream, which its port keeps alive. */
class Announcements {
	readonly anchor: Anchor;
	readonly #port: MessagePort;
	readonly #line = new Line<Announcement | undefined>();
	readonly #arrived: Announcement[] = [];
	#end: End = { type: "open" };

	constructor(origin: Anchor, prefix: string) {
		const { port1, port2: port } = new MessageChannel();
		this.#port = port1;
		port1.onmessage = ({ data }: MessageEvent<AnnouncePortEvent>) => this.#receive(data);
		this.anchor = origin.bind(
			origin.derive("announce stream", "announced", (stream) => ({ stream, origin: origin.id, prefix, port })),
		);
		this.anchor.onEnd((error) => this.#finish(error ? { type: "failed", error } : { type: "closed" }));
		this.#grant(ANNOUNCE_WINDOW);
	}

	read<R>(map: (announcement: Announcement | undefined) => R, options?: WaitOptions): Pending<R> {
		return this.#line.read({ take: () => this.#take(), map }, options);
	}

	#take(): { item: Announcement | undefined } | undefined {
		const item = this.#arrived.shift();
		if (item) {
			this.#grant(1);
			return { item };
		}
		if (this.#end.type === "failed") throw this.#end.error;
		return this.#end.type === "closed" ? { item: undefined } : undefined;
	}

	#receive(event: AnnouncePortEvent): void {
		switch (event.type) {
			case "records":
				for (const data of event.records) {
					const announcement = makeAnnouncement(this.anchor.link, data);
					if (this.#line.isEmpty) this.#arrived.push(announcement);
					else {
						this.#grant(1);
						this.#line.serve(announcement);
					}
				}
				return;
			case "end":
				if (event.error) this.anchor.fail(errorFrom(event.error));
				else this.anchor.close();
				return;
			default:
				event satisfies never;
		}
	}

	#grant(count: number): void {
		if (this.#end.type !== "open") return;
		const records = Array.from({ length: count }, () => this.anchor.link.mint());
		this.#port.postMessage({ type: "grant", records } satisfies AnnounceRequest);
	}

	#finish(end: End): void {
		this.#end = end;
		this.#port.onmessage = null;
		this.#port.close();
		// Nobody will see these.
		for (const announcement of this.#arrived.splice(0)) announcement.free();
		if (end.type === "failed") this.#line.fail(end.error);
		else this.#line.drain(undefined);
	}
}

/**
 * What is announced under a prefix: first everything that is there now, then every change. Iterate it, or call
 * {@link AnnounceStream.next}. At most one event per path waits; what nobody saw and is over again is left out. Announcements that
 * were given out outlive the stream, which ends with its origin.
 */
export class AnnounceStream extends Handle {
	readonly #announcements: Announcements;

	private constructor(announcements: Announcements) {
		super(announcements.anchor);
		this.#announcements = announcements;
		announcements.anchor.hold(this);
	}

	static {
		announceStream = (origin, prefix) => new AnnounceStream(new Announcements(origin, prefix));
	}

	/** The next event; undefined when the stream was closed. Whoever calls this frees the announcement. */
	next(options?: WaitOptions): Pending<Announcement | undefined> {
		return this.#announcements.read((announcement) => announcement && keeping(announcement, this), options);
	}

	/**
	 * Event by event. Going on frees the announcement before, unless it was retained; leaving the loop frees it too and
	 * closes the stream.
	 */
	[Symbol.asyncIterator](): AsyncIterableIterator<Announcement, undefined> {
		let last: Announcement | undefined;
		const next = async () => {
			last?.release();
			const announcement = await this.next();
			// Somebody who asks twice at once has gone on as well.
			last?.release();
			last = announcement;
			return step(last);
		};
		return iteration(next, () => {
			last?.release();
			this.close();
		});
	}
}
