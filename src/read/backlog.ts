import type { GapData } from "../../worker/protocol/model.ts";
import { GroupBuffer } from "./group-buffer.ts";

/** A group, or a gap between groups. */
export type Arrival = GroupBuffer | GapData;

const sequence = (item: Arrival) => (item instanceof GroupBuffer ? item.sequence : item.from);
const end = (item: Arrival) => (item instanceof GroupBuffer ? item.sequence : item.to) + 1;

/** What arrived of a subscription and was not given out yet: groups, and the gaps that the worker found between them. */
export class Backlog {
	/** In the order of arrival. */
	#items: Arrival[] = [];
	/** What came of another publisher, which is given out after all of the one before it; with how to tell that. */
	#next: { items: Arrival[]; tell: () => void } | undefined;
	readonly #removed: () => void;
	/** Whether the order of arrival is that of the sequences, too. */
	#isSorted = true;
	/** What lies below was given out, or told to be missing, by a read in order. */
	#floor = 0;

	/** `removed` is called for each item that leaves: it has cost one frame of credit. */
	constructor(removed: () => void) {
		this.#removed = removed;
	}

	get length(): number {
		return this.#items.length + (this.#next?.items.length ?? 0);
	}

	/** What comes from now on is counted anew. `tell` is called once all before it was taken. */
	restart(tell: () => void): void {
		this.#next = { items: this.#next?.items ?? [], tell };
		this.#turn();
	}

	push(item: Arrival): void {
		if (this.#next) {
			this.#next.items.push(item);
			return;
		}
		const last = this.#items.at(-1);
		if (!last) this.#isSorted = true;
		else if (sequence(item) < sequence(last)) this.#isSorted = false;
		this.#items.push(item);
	}

	/** The item that arrived first. */
	get first(): Arrival | undefined {
		return this.#items[0];
	}

	/** The item with the lowest sequence that is not late. Groups that are late are closed: they were told to be missing. */
	get lowest(): Arrival | undefined {
		for (;;) {
			const item = this.#isSorted ? this.#items[0] : this.#scan();
			if (!item || sequence(item) >= this.#floor) return item;
			this.take(item);
			if (item instanceof GroupBuffer) item.close();
		}
	}

	/** The group with this sequence. */
	group(wanted: number): GroupBuffer | undefined {
		return this.#items.find((item): item is GroupBuffer => item instanceof GroupBuffer && item.sequence === wanted);
	}

	/** Whether the worker, which goes on in the order of sequences, will not bring this group any more. */
	isPast(wanted: number): boolean {
		return wanted < this.#floor || this.#items.some((item) => sequence(item) <= wanted && wanted < end(item));
	}

	/** Take an item off the list. */
	take(item: Arrival): void {
		this.#items.splice(this.#items.indexOf(item), 1);
		this.#removed();
		this.#turn();
	}

	/** The same by a read in order, for which all before it is late from now on. */
	pass(item: Arrival): void {
		this.#floor = Math.max(this.#floor, end(item));
		this.take(item);
	}

	/** Forget everything; returns the groups. */
	clear(): GroupBuffer[] {
		const items = [...this.#items.splice(0), ...(this.#next?.items ?? [])];
		this.#next = undefined;
		return items.filter((item) => item instanceof GroupBuffer);
	}

	#turn(): void {
		if (this.#items.length > 0 || !this.#next) return;
		const { items, tell } = this.#next;
		this.#next = undefined;
		this.#items = items;
		this.#isSorted = false;
		this.#floor = 0;
		tell();
	}

	#scan(): Arrival | undefined {
		let lowest: Arrival | undefined;
		for (const item of this.#items) if (!lowest || sequence(item) < sequence(lowest)) lowest = item;
		return lowest;
	}
}
