import type { AnnounceRecord, CoreApi, Handle } from "../core/api.ts";
import { announceRequest, listen } from "../door/ports.ts";
import type { Id } from "../protocol/control.ts";
import type { AnnounceData, AnnouncePortEvent, AnnounceRequest } from "../protocol/port.ts";

/** What has happened to one path since the page was last told: one record, or an end followed by a new beginning. */
type Untold = AnnounceRecord[];

/** Ids a page can have named in advance; an honest one names far fewer. */
const MAX_IDS = 1024;

/** What a stream needs of the rest of the host. */
export interface AnnounceDesk {
	/** Whether the page may use this id for a record. */
	isUsable(id: Id): boolean;
	/** Put a delivered broadcast under the id of its record. */
	deliver(id: Id, broadcast: Handle, path: string): void;
}

/**
 * Announcements of one origin on their way to the page. The page names the ids under which records may come; until it
 * does, what happened is folded into at most one change per path.
 */
export class AnnouncedEntry {
	readonly type = "announced";
	readonly recipe: { origin: Id; prefix: string };
	readonly #api: CoreApi;
	readonly #port: MessagePort;
	readonly #desk: AnnounceDesk;
	readonly #listener: Handle;
	readonly #untold = new Map<string, Untold>();
	readonly #ids: Id[] = [];
	#isDue = false;
	#isOver = false;

	constructor(
		api: CoreApi,
		origin: Handle,
		recipe: { origin: Id; prefix: string },
		port: MessagePort,
		desk: AnnounceDesk,
	) {
		this.#api = api;
		this.recipe = recipe;
		this.#port = port;
		this.#desk = desk;
		this.#listener = api.announced(origin, recipe.prefix, {
			event: (record) => this.#happened(record),
			end: () => {
				this.#isOver = true;
				this.#schedule();
			},
		});
		const grant = ({ records }: AnnounceRequest) => {
			const room = MAX_IDS - this.#ids.length;
			const usable = new Set(records.filter((id) => desk.isUsable(id) && !this.#ids.includes(id)));
			this.#ids.push(...[...usable].slice(0, room));
			this.#schedule();
		};
		listen(port, announceRequest, grant, (error) =>
			port.postMessage({ type: "end", error } satisfies AnnouncePortEvent),
		);
	}

	release(): void {
		this.#port.onmessage = null;
		this.#port.close();
		this.#api.free(this.#listener);
		for (const records of this.#untold.values()) for (const record of records) this.#drop(record);
		this.#untold.clear();
	}

	/** The page hears of a path's latest state; what it would see begin and end again is left out. */
	#happened(record: AnnounceRecord): void {
		const before = this.#untold.get(record.path) ?? [];
		const folded = fold(before, record);
		for (const old of before) if (!folded.includes(old)) this.#drop(old);
		if (folded.length > 0) this.#untold.set(record.path, folded);
		else this.#untold.delete(record.path);
		this.#schedule();
	}

	#drop(record: AnnounceRecord): void {
		if (record.broadcast !== undefined) this.#api.free(record.broadcast);
	}

	/** One message for everything that happens in one turn. */
	#schedule(): void {
		if (this.#isDue) return;
		this.#isDue = true;
		queueMicrotask(() => {
			this.#isDue = false;
			this.#tell();
		});
	}

	#tell(): void {
		const records: AnnounceData[] = [];
		for (const [path, untold] of this.#untold) {
			while (untold.length > 0) {
				const id = this.#ids.shift();
				if (id === undefined) break;
				const record = untold.shift();
				if (record) records.push(this.#handOver(id, record));
			}
			if (untold.length > 0) break;
			this.#untold.delete(path);
		}
		if (records.length > 0) this.#port.postMessage({ type: "records", records } satisfies AnnouncePortEvent);
		if (this.#isOver && this.#untold.size === 0) this.#port.postMessage({ type: "end" } satisfies AnnouncePortEvent);
	}

	/** The core names paths below the prefix; the page names them as it would ask for them. */
	#handOver(id: Id, { path: below, event, hops, broadcast }: AnnounceRecord): AnnounceData {
		const path = [...this.recipe.prefix.split("/"), below].filter((part) => part !== "").join("/");
		if (broadcast !== undefined) this.#desk.deliver(id, broadcast, path);
		return { record: id, path, event, hops };
	}
}

/** The table of announcements that were not seen yet: never two beginnings or two ends of one path in a row. */
function fold(before: Untold, record: AnnounceRecord): Untold {
	const [first] = before;
	if (!first) return [record];
	switch (record.event) {
		case "active":
			if (first.event === "ended") return [first, record];
			return [{ ...record, event: first.event }];
		case "restart":
			if (first.event === "active") return [{ ...record, event: "active" }];
			return [record];
		case "ended":
			return first.event === "active" ? [] : [record];
	}
}
