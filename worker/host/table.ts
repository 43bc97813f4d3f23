import type { Operation } from "../core/api.ts";
import { asErrorData, failure } from "../failure.ts";
import type { Id } from "../protocol/control.ts";
import type { ErrorData } from "../protocol/error.ts";
import type { AnnouncedEntry } from "./announced.ts";
import type { BroadcastEntry, ProducerEntry, PublicationEntry } from "./broadcast.ts";
import type { ConnectionEntry } from "./connection/connection.ts";
import type { HandlerEntry, RequestEntry } from "./dynamic.ts";
import type { OriginEntry } from "./origin.ts";
import type { PublishedGroup } from "./published-group.ts";
import type { PublishedTrack } from "./published-track.ts";
import type { GroupEntry, SubscriptionEntry } from "./reader.ts";
import type { TrackEntry } from "./track.ts";

/** Something that waits under an id; nothing can be done with it but withdraw it. */
export interface WaitingEntry {
	type: "waiting";
	release(): void;
}

/** The making of this id was refused, and every use of it is, until it is freed. */
interface RefusedEntry {
	type: "refused";
	error: ErrorData;
	release(): void;
}

/** Something of another room that lives as long as its id. */
export interface GuestEntry {
	type: "guest";
	release(): void;
}

/**
 * What an id can stand for. Each entry keeps its recipe next to its core handle: what the page asked for, so that the
 * same can be made again elsewhere.
 */
export type Entry =
	| OriginEntry
	| AnnouncedEntry
	| BroadcastEntry
	| ProducerEntry
	| PublicationEntry
	| TrackEntry
	| PublishedTrack
	| PublishedGroup
	| HandlerEntry
	| RequestEntry
	| SubscriptionEntry
	| GroupEntry
	| ConnectionEntry
	| GuestEntry
	| WaitingEntry
	| RefusedEntry;

/** Ids of the page and what they stand for. An id stays until the page frees it. */
export class Table {
	readonly #entries = new Map<Id, Entry>();

	/** Whether something can be made under this id. */
	isUsable(id: Id): boolean {
		return Number.isSafeInteger(id) && id > 0 && !this.#entries.has(id);
	}

	/** @throws ErrorData when the id is not a number the page may make up, or in use. */
	checkFree(id: Id): void {
		if (!this.isUsable(id)) throw failure("usage", `id ${String(id)} is in use, or not a positive whole number`);
	}

	/** Make something under an id. A refusal is kept, so that calls already on their way get the same answer. */
	make(id: Id, create: () => Entry): void {
		this.checkFree(id);
		try {
			this.#entries.set(id, create());
		} catch (thrown) {
			const error = asErrorData(thrown);
			this.#entries.set(id, { type: "refused", error, release: () => undefined });
			throw error;
		}
	}

	/**
	 * Run an operation that can be withdrawn under `id`. What it results in stays under the same id when `settle` makes
	 * an entry of it. A failure leaves the id unused.
	 */
	async wait<T, R>(
		id: Id,
		start: () => Operation<T>,
		settle: (value: T) => { entry?: Entry; result: R },
		late: (value: T) => void = () => undefined,
	): Promise<R> {
		this.checkFree(id);
		const operation = start();
		const waiting: WaitingEntry = { type: "waiting", release: () => operation.cancel() };
		this.#entries.set(id, waiting);
		let value: T;
		try {
			value = await operation.result;
		} catch (error) {
			if (this.#entries.get(id) === waiting) this.#entries.delete(id);
			throw error;
		}
		if (this.#entries.get(id) !== waiting) {
			// Withdrawn in the turn in which it came.
			late(value);
			throw failure("cancelled", "withdrawn by the page");
		}
		this.#entries.delete(id);
		const { entry, result } = settle(value);
		if (entry) this.#entries.set(id, entry);
		return result;
	}

	/** What the id stands for. @throws ErrorData when that is something else, nothing, or refused. */
	get<Type extends Entry["type"]>(id: Id, type: Type): Extract<Entry, { type: Type }> {
		const entry = this.#entries.get(id);
		if (!entry) throw failure("usage", `id ${String(id)} is not in use`);
		if (entry.type === "refused") throw entry.error;
		if (entry.type !== type) throw failure("usage", `id ${id} is a ${entry.type}, not a ${type}`);
		return entry as Extract<Entry, { type: Type }>;
	}

	/** What the id stands for, if that is of this type. */
	find<Type extends Entry["type"]>(id: Id, type: Type): Extract<Entry, { type: Type }> | undefined {
		const entry = this.#entries.get(id);
		return entry?.type === type ? (entry as Extract<Entry, { type: Type }>) : undefined;
	}

	/** What the id stands for, which must be of one of these types. @throws ErrorData as {@link Table.get}. */
	oneOf<Type extends Entry["type"]>(id: Id, types: readonly Type[]): Extract<Entry, { type: Type }> {
		const type = types.find((type) => this.#entries.get(id)?.type === type);
		return this.get(id, type ?? (types[0] as Type));
	}

	/** Let go of it. @throws ErrorData when nothing is there. */
	free(id: Id): void {
		if (!this.cancel(id)) throw failure("usage", `id ${String(id)} is not in use`);
	}

	/** Let go of it if it is there. */
	cancel(id: Id): boolean {
		const entry = this.#entries.get(id);
		if (!entry) return false;
		this.#entries.delete(id);
		entry.release();
		return true;
	}

	/** Forget the id without releasing what it stood for: somebody else does. */
	forget(id: Id): void {
		this.#entries.delete(id);
	}

	/** Let go of everything, the newest first: what was made out of something goes before it. */
	clear(): void {
		for (const id of [...this.#entries.keys()].reverse()) this.cancel(id);
	}

	/** All entries of one type. */
	all<Type extends Entry["type"]>(type: Type): Extract<Entry, { type: Type }>[] {
		const found = [...this.#entries.values()].filter((entry) => entry.type === type);
		return found as Extract<Entry, { type: Type }>[];
	}

	/** How many ids are in use, by what they stand for. */
	counts(): Record<string, number> {
		const counts: Record<string, number> = {};
		for (const { type } of this.#entries.values()) counts[type] = (counts[type] ?? 0) + 1;
		return counts;
	}
}

/** The origin that a view shows a part of, and where in it a path of the view is. */
export function rootOf(table: Table, origin: Id, path = ""): { root: Id; path: string } {
	let at = origin;
	let whole = path;
	for (;;) {
		const recipe = table.find(at, "origin")?.recipe;
		if (recipe?.by !== "view") return { root: at, path: whole };
		if ("root" in recipe.view) whole = [recipe.view.root, whole].filter((part) => part !== "").join("/");
		at = recipe.origin;
	}
}
