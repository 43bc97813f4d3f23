import { DATAGRAM_BACKLOG } from "../../worker/protocol/limits.ts";
import type { MoqError } from "../error.ts";
import type { Datagram, Frame } from "../frame.ts";
import { Line } from "../line.ts";
import type { Pending, WaitOptions } from "../pending.ts";
import type { GroupBuffer } from "./group-buffer.ts";
import type { ReaderListener, TrackReader } from "./track-reader.ts";

type End = { type: "open" } | { type: "finished" } | { type: "failed"; error: MoqError };

/**
 * The groups of one subscription that arrived and were not given out, and the ways to ask for them. Each group is given
 * out once, to whoever asks first.
 */
export class Lanes implements ReaderListener {
	/** Set right after construction: the two know each other. */
	reader: TrackReader | undefined;
	/** Highest sequence that began here. */
	latest: number | undefined;
	/** Called when nothing follows at all. */
	readonly #ended: (error: MoqError | undefined) => void;
	/** In arrival order. */
	readonly #waiting: GroupBuffer[] = [];
	/** Given out and not yet read to the end, oldest first. */
	readonly #given = new Set<GroupBuffer>();
	readonly #next = new Line<GroupBuffer | undefined>();
	readonly #recv = new Line<GroupBuffer | undefined>();
	readonly #frame = new Line<Frame | undefined>();
	readonly #datagram = new Line<Datagram | undefined>();
	/** Not read yet, oldest first. */
	readonly #datagrams: Datagram[] = [];
	#isDatagramWanted = false;
	/** Somebody has asked for a group, or for frames. */
	#isGroupWanted = false;
	/** The worker starts groups in the order of their arrival. */
	#isByArrival = false;
	readonly #bySequence = new Map<number, Line<GroupBuffer | undefined>>();
	readonly #finished = new Line<number>();
	/** Groups below this are late for those who read in order. */
	#floor = 0;
	#final: number | undefined;
	#end: End = { type: "open" };
	#isNextWanted = false;

	constructor(ended: (error: MoqError | undefined) => void) {
		this.#ended = ended;
	}

	/** In sequence order, late ones skipped. Undefined: the track is finished. */
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

	/** The first frame of the next group that has one; the rest of that group is given up. */
	readFrame(options?: WaitOptions): Pending<Frame | undefined> {
		this.#order(false);
		return this.#read(this.#frame, () => this.#takeFrame(), undefined, options);
	}

	/** The next datagram. Undefined: the track is finished. */
	readDatagram(options?: WaitOptions): Pending<Datagram | undefined> {
		if (!this.#isDatagramWanted) {
			this.#isDatagramWanted = true;
			this.reader?.post({ type: "datagrams" });
		}
		return this.#read(this.#datagram, () => this.#takeDatagram(), undefined, options);
	}

	/** The group with this sequence, once it begins. Undefined: it is past the end of the track. */
	readGroup<R>(sequence: number, map: (group: GroupBuffer | undefined) => R, options?: WaitOptions): Pending<R> {
		this.#isGroupWanted = true;
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

	group(group: GroupBuffer): void {
		this.#waiting.push(group);
		this.#isNextWanted = false;
		if (this.latest === undefined || group.sequence > this.latest) this.latest = group.sequence;
		this.#serve();
	}

	datagram(datagram: Datagram): void {
		this.#datagrams.push(datagram);
		// Nobody keeps up: the oldest is lost, as on the network.
		if (this.#datagrams.length > DATAGRAM_BACKLOG) this.#takeDatagram();
	}

	batch(): void {
		const { reader } = this;
		// Who reads datagrams and no groups does not let the groups they come as use up the window.
		if (this.#isDatagramWanted && !this.#isGroupWanted) {
			while (reader?.isExhausted) {
				const group = this.#bypassed();
				if (!group) break;
				group.lag();
				reader.flush();
			}
		}
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

	end(error: MoqError | undefined): void {
		this.trackEnd(error, undefined);
		this.#ended(error);
	}

	/** Send everybody who waits away. Groups that were given out keep what has arrived of them. */
	close(error: MoqError): void {
		const unread = this.#waiting.splice(0);
		const given = [...this.#given];
		this.#given.clear();
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

	#read<T, R = T>(
		line: Line<T>,
		take: () => { item: T } | undefined,
		map: ((item: T) => R) | undefined,
		options: WaitOptions | undefined,
	): Pending<R> {
		return line.read({ take, wake: () => this.#hungry(), map }, options);
	}

	/** Give what is there to those who wait for it. */
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
	 * Somebody waits for a group and none is there. When that is because unread frames use up the credit, the oldest
	 * group that was given out and never looked at has to go: otherwise the wait would not end.
	 */
	#hungry(): void {
		const { reader } = this;
		if (!reader?.isExhausted || this.#end.type !== "open") return;
		reader.flush();
		while (reader.isExhausted) {
			const victim = this.#oldestUnread() ?? this.#bypassed();
			if (!victim) break;
			victim.lag();
			reader.flush();
		}
		if (!reader.isExhausted || this.#isNextWanted) return;
		this.#isNextWanted = true;
		reader.post({ type: "want", gid: 0 });
	}

	#oldestUnread(): GroupBuffer | undefined {
		for (const group of this.#given) {
			if (group.frames === 0 && !group.isOpen) this.#given.delete(group);
			else if (group.frames > 0 && !group.isTouched) return group;
		}
		return undefined;
	}

	#order(isByArrival: boolean): void {
		this.#isGroupWanted = true;
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

	/** Who waits for one sequence, or for a datagram, passes the groups by that nobody asked for yet. */
	#bypassed(): GroupBuffer | undefined {
		const group = this.#waiting[0];
		if (group) this.#discard(group);
		return group;
	}

	/** What an empty lane means: nothing yet, or nothing any more. */
	#none(): { item: undefined } | undefined {
		if (this.#end.type === "finished") return { item: undefined };
		if (this.#end.type === "failed") throw this.#end.error;
		return undefined;
	}

	#takeNext(): { item: GroupBuffer | undefined } | undefined {
		const group = this.#smallest(() => true);
		return group ? { item: this.#give(group) } : this.#none();
	}

	#takeAny(): { item: GroupBuffer | undefined } | undefined {
		const group = this.#waiting[0];
		return group ? { item: this.#give(group) } : this.#none();
	}

	#takeSequence(sequence: number): { item: GroupBuffer | undefined } | undefined {
		const group = this.#waiting.find((candidate) => candidate.sequence === sequence);
		return group ? { item: this.#give(group) } : this.#none();
	}

	#takeFrame(): { item: Frame | undefined } | undefined {
		for (const group of [...this.#waiting]) if (!group.isOpen && group.frames === 0) this.#discard(group);
		const group = this.#smallest((candidate) => candidate.frames > 0);
		if (!group) return this.#waiting.length > 0 ? undefined : this.#none();
		const frame = this.#give(group).takeFirst();
		group.close();
		return { item: frame };
	}

	/** The lowest sequence that is not late. Those that are late give their credit back. */
	#smallest(isReady: (group: GroupBuffer) => boolean): GroupBuffer | undefined {
		let smallest: GroupBuffer | undefined;
		for (const group of [...this.#waiting]) {
			if (group.sequence < this.#floor) {
				this.#discard(group);
				group.close();
			} else if (isReady(group) && (!smallest || group.sequence < smallest.sequence)) smallest = group;
		}
		return smallest;
	}

	/** Take it off the list. What the group itself cost, next to its frames, is given back. */
	#discard(group: GroupBuffer): void {
		this.#waiting.splice(this.#waiting.indexOf(group), 1);
		this.reader?.read(1, 0);
	}

	#give(group: GroupBuffer): GroupBuffer {
		this.#discard(group);
		this.#floor = Math.max(this.#floor, group.sequence + 1);
		if (group.isOpen || group.frames > 0) this.#given.add(group);
		for (const old of this.#given) {
			if (old.isOpen || old.frames > 0) break;
			this.#given.delete(old);
		}
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
