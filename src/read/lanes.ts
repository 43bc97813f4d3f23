import { DATAGRAM_BACKLOG, UNREAD_GROUPS } from "../../worker/protocol/limits.ts";
import type { GapData } from "../../worker/protocol/model.ts";
import { failure, type MoqError } from "../handle/error.ts";
import { Line } from "../handle/line.ts";
import type { Pending, WaitOptions } from "../handle/pending.ts";
import type { Datagram, Frame } from "../model/frame.ts";
import { Backlog } from "./backlog.ts";
import { gapOf, type SubscriberStats } from "./gap.ts";
import { GroupBuffer } from "./group-buffer.ts";
import type { ReaderListener, TrackReader } from "./track-reader.ts";

type End = { type: "open" } | { type: "finished" } | { type: "failed"; error: MoqError };

/**
 * The groups of one subscription that arrived and were not given out, and the ways to ask for them. Each group is given
 * out once, to the reader that asks first.
 */
export class Lanes implements ReaderListener {
	/** Set right after construction: the two know each other. */
	reader: TrackReader | undefined;
	/** Called with each gap, before the group behind it is given out. */
	onGap: ((gap: GapData) => void) | undefined;
	/** Called when groups are counted anew: by another publisher. */
	onRestart: (() => void) | undefined;
	/** Highest sequence that began here. */
	latest: number | undefined;
	/** What was given out and what was told to be missing. */
	readonly stats: SubscriberStats = { groups: 0, gaps: 0, missing: 0 };
	/** Called when nothing follows at all. */
	readonly #ended: (error: MoqError | undefined) => void;
	readonly #backlog = new Backlog(() => this.reader?.read(1, 0));
	/** Given out and not yet read to the end, oldest first. */
	readonly #open = new Set<GroupBuffer>();
	readonly #next = new Line<GroupBuffer | undefined>();
	readonly #recv = new Line<GroupBuffer | undefined>();
	readonly #frame = new Line<Frame | undefined>();
	readonly #datagram = new Line<Datagram | undefined>();
	/** Not read yet, oldest first. */
	readonly #datagrams: Datagram[] = [];
	#isDatagramWanted = false;
	/** Groups are read one after the other, in some order. */
	#isRead = false;
	/** The worker starts groups in the order of their arrival. */
	#isByArrival = false;
	readonly #bySequence = new Map<number, Line<GroupBuffer | undefined>>();
	readonly #finished = new Line<number>();
	#final: number | undefined;
	#end: End = { type: "open" };
	#isNextWanted = false;

	constructor(ended: (error: MoqError | undefined) => void) {
		this.#ended = ended;
	}

	/** In sequence order. Undefined: the track is finished. */
	next(): Promise<GroupBuffer | undefined> {
		this.#order(false);
		return this.#next.next(
			() => this.#takeNext(),
			() => this.#hungry(),
		);
	}

	/** {@link Lanes.next}, cancellable. */
	readNext<R>(map: (group: GroupBuffer | undefined) => R, options?: WaitOptions): Pending<R> {
		this.#order(false);
		return this.#read(this.#next, () => this.#takeNext(), map, options);
	}

	/** In arrival order. */
	readAny<R>(map: (group: GroupBuffer | undefined) => R, options?: WaitOptions): Pending<R> {
		this.#order(true);
		return this.#read(this.#recv, () => this.#takeAny(), map, options);
	}

	/** The first frame of the next group that has one; the rest of that group is given up. `owner` is kept until the read is over. */
	readFrame(owner: object, options?: WaitOptions): Pending<Frame | undefined> {
		this.#order(false);
		return this.#frame.read({ take: () => this.#takeFrame(), wake: () => this.#hungry(), owner }, options);
	}

	/** The next datagram. Undefined: the track is finished. */
	readDatagram(owner: object, options?: WaitOptions): Pending<Datagram | undefined> {
		if (!this.#isDatagramWanted) {
			this.#isDatagramWanted = true;
			this.reader?.post({ type: "datagrams" });
		}
		return this.#datagram.read({ take: () => this.#takeDatagram(), wake: () => this.#hungry(), owner }, options);
	}

	/** The group with this sequence, once it begins. Undefined: it is beyond the end of the track. */
	readGroup<R>(sequence: number, map: (group: GroupBuffer | undefined) => R, options?: WaitOptions): Pending<R> {
		let line = this.#bySequence.get(sequence);
		if (!line) {
			line = new Line();
			this.#bySequence.set(sequence, line);
		}
		return this.#read(line, () => this.#takeSequence(sequence), map, options);
	}

	/** The sequence after the last group, once the track is finished. */
	finished(): Promise<number> {
		if (this.#end.type === "failed") return Promise.reject(this.#end.error);
		if (this.#final !== undefined) return Promise.resolve(this.#final);
		return this.#finished.wait();
	}

	/** Groups will not be given out: tell and count them. */
	tell(gap: GapData): void {
		this.stats.gaps++;
		this.stats.missing += gap.to - gap.from + 1;
		this.onGap?.(gap);
	}

	group(group: GroupBuffer): void {
		this.#backlog.push(group);
		this.#isNextWanted = false;
		if (this.latest === undefined || group.sequence > this.latest) this.latest = group.sequence;
		this.#serve();
	}

	gap(gap: GapData): void {
		this.#backlog.push(gap);
		this.#isNextWanted = false;
		this.#serve();
	}

	datagram(datagram: Datagram): void {
		this.#datagrams.push(datagram);
		this.#isNextWanted = false;
		// The page does not keep up: the oldest is lost, as on the network.
		if (this.#datagrams.length > DATAGRAM_BACKLOG) this.#takeDatagram();
	}

	left(group: GroupBuffer): void {
		this.#open.delete(group);
	}

	batch(): void {
		// A page that reads datagrams alone does not let the groups they come as use up the window.
		if (this.#isDatagramWanted && !this.#isRead && this.#bySequence.size === 0) this.#passBy();
		this.#serve();
		if (this.#isAwaited) this.#hungry();
	}

	trackEnd(error: MoqError | undefined, final: number | undefined): void {
		if (this.#end.type !== "open") return;
		if (error) {
			this.#end = { type: "failed", error };
			this.#finished.fail(error);
		} else {
			this.#end = { type: "finished" };
			this.#final = final ?? (this.latest === undefined ? 0 : this.latest + 1);
			this.#finished.drain(this.#final);
		}
		this.#serve();
	}

	cut(): number | undefined {
		this.#isNextWanted = false;
		return this.latest === undefined ? undefined : this.latest + 1;
	}

	resumed(isRestart: boolean): void {
		if (isRestart) {
			this.latest = undefined;
			this.#backlog.restart(() => this.onRestart?.());
		}
		if (this.#isAwaited) this.#hungry();
	}

	end(error: MoqError | undefined): void {
		this.trackEnd(error, undefined);
		this.#ended(error);
	}

	/** Send all readers away. Groups that were given out keep what has arrived of them. */
	close(error: MoqError): void {
		const unread = this.#backlog.clear();
		const given = [...this.#open];
		this.#open.clear();
		this.#end = { type: "failed", error };
		this.#datagrams.length = 0;
		for (const group of unread) group.close();
		for (const group of given) group.fail(error);
		for (const line of this.#lines()) line.fail(error);
		this.#finished.fail(error);
	}

	#lines(): Line<never>[] {
		return [
			this.#next,
			this.#recv,
			this.#frame,
			this.#datagram,
			...this.#bySequence.values(),
		] as unknown as Line<never>[];
	}

	get #isAwaited(): boolean {
		return this.#lines().some((line) => !line.isEmpty);
	}

	#read<T, R>(
		line: Line<T>,
		take: () => { item: T } | undefined,
		map: (item: T) => R,
		options: WaitOptions | undefined,
	): Pending<R> {
		return line.read({ take, wake: () => this.#hungry(), map }, options);
	}

	/** Give what is there to the readers that wait for it. */
	#serve(): void {
		for (const [sequence, line] of this.#bySequence) {
			serve(line, () => this.#takeSequence(sequence));
			if (line.isEmpty) this.#bySequence.delete(sequence);
		}
		serve(this.#next, () => this.#takeNext());
		serve(this.#recv, () => this.#takeAny());
		serve(this.#frame, () => this.#takeFrame());
		serve(this.#datagram, () => this.#takeDatagram());
	}

	/**
	 * A reader waits and nothing is there for it. When that is because unread frames use up the credit, one more record is asked
	 * for past it: otherwise the wait would not end. Nothing is lost by that, up to a number of groups.
	 */
	#hungry(): void {
		const { reader } = this;
		if (!reader?.isExhausted || this.#end.type !== "open") return;
		reader.flush();
		// A reader of one sequence or of datagrams has no use for the others.
		if (!this.#isRead) this.#passBy();
		if (this.#unread >= UNREAD_GROUPS) this.#giveUp(this.#oldestUnread() ?? this.#bypassed());
		if (!reader.isExhausted) return;
		// The first frame is that of the lowest group, not of the next.
		const lowest = this.#frame.isEmpty ? undefined : this.#backlog.lowest;
		if (lowest instanceof GroupBuffer) reader.hungry(lowest);
		else if (!this.#isNextWanted) {
			this.#isNextWanted = true;
			reader.post({ type: "want", gid: 0 });
		}
	}

	/** Groups nothing was read of. */
	get #unread(): number {
		let unread = this.#backlog.length;
		for (const group of this.#open) if (!group.isTouched) unread++;
		return unread;
	}

	/** Give up groups that were not asked for until there is credit. */
	#passBy(): void {
		while (this.reader?.isExhausted && this.#giveUp(this.#bypassed()));
	}

	#giveUp(group: GroupBuffer | undefined): boolean {
		group?.lag();
		this.reader?.flush();
		return group !== undefined;
	}

	#oldestUnread(): GroupBuffer | undefined {
		for (const group of this.#open) if (!group.isTouched) return group;
		return undefined;
	}

	/** The group that arrived first, taken away from readers that may still ask for it, who are told. */
	#bypassed(): GroupBuffer | undefined {
		for (let item = this.#backlog.first; item; item = this.#backlog.first) {
			this.#backlog.pass(item);
			const gap =
				item instanceof GroupBuffer ? { from: item.sequence, to: item.sequence, reason: "lagged" as const } : item;
			if (this.#isRead) this.tell(gap);
			if (item instanceof GroupBuffer) return item;
		}
		return undefined;
	}

	#order(isByArrival: boolean): void {
		this.#isRead = true;
		if (this.#isByArrival === isByArrival) return;
		this.#isByArrival = isByArrival;
		this.reader?.post({ type: "order", arrival: isByArrival });
	}

	#takeDatagram(): { item: Datagram | undefined } | undefined {
		const datagram = this.#datagrams.shift();
		if (!datagram) return this.#none();
		this.reader?.read(1, datagram.size);
		return { item: datagram };
	}

	/** What an empty lane means: nothing yet, or nothing any more. */
	#none(): { item: undefined } | undefined {
		if (this.#end.type === "finished") return { item: undefined };
		if (this.#end.type === "failed") throw this.#end.error;
		return undefined;
	}

	#takeNext(): { item: GroupBuffer | undefined } | undefined {
		const group = this.#lowest();
		if (!group) return this.#none();
		this.#backlog.pass(group);
		return { item: this.#give(group) };
	}

	#takeAny(): { item: GroupBuffer | undefined } | undefined {
		for (let item = this.#backlog.first; item; item = this.#backlog.first) {
			this.#backlog.take(item);
			if (item instanceof GroupBuffer) return { item: this.#give(item) };
			this.tell(item);
		}
		return this.#none();
	}

	#takeSequence(sequence: number): { item: GroupBuffer | undefined } | undefined {
		const group = this.#backlog.group(sequence);
		if (!group) {
			if (this.#isByArrival || !this.#backlog.isPast(sequence)) return this.#none();
			throw failure("old", `group ${sequence} is missing, or was given out: the subscription goes on behind it`);
		}
		this.#backlog.take(group);
		return { item: this.#give(group) };
	}

	#takeFrame(): { item: Frame | undefined } | undefined {
		for (let group = this.#lowest(); group; group = this.#lowest()) {
			if (group.frames === 0 && group.isOpen) return undefined;
			this.#backlog.pass(group);
			if (group.frames > 0) {
				const frame = this.#give(group).takeFirst();
				group.close();
				return { item: frame };
			}
			// A group that is complete without a frame has nothing to miss.
			if (group.error) this.tell(gapOf(group, group.error));
		}
		return this.#none();
	}

	/** The lowest group that is here; gaps before it are told. */
	#lowest(): GroupBuffer | undefined {
		for (let item = this.#backlog.lowest; item; item = this.#backlog.lowest) {
			if (item instanceof GroupBuffer) return item;
			this.#backlog.pass(item);
			this.tell(item);
		}
		return undefined;
	}

	#give(group: GroupBuffer): GroupBuffer {
		this.stats.groups++;
		if (group.isOpen || group.frames > 0) this.#open.add(group);
		return group;
	}
}

function serve<T>(line: Line<T>, take: () => { item: T } | undefined): void {
	while (!line.isEmpty) {
		try {
			const ready = take();
			if (!ready) return;
			line.serve(ready.item);
		} catch (error) {
			line.fail(error);
		}
	}
}
