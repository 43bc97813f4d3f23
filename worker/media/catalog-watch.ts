import type { CoreApi, Handle } from "../core/api.ts";
import type { ErrorData } from "../protocol/error.ts";
import { CATALOG_TRACK, type Catalog, CatalogError } from "./catalog.ts";
import { CatalogReader } from "./catalog-track.ts";
import { JsonError } from "./json.ts";
import { TrackReader } from "./track-reader.ts";

/** Subscribe priority of the catalog, above all media, as published players have it. */
const CATALOG_PRIORITY = 100;

/** What a {@link CatalogWatch} tells its owner. */
export interface CatalogWatchEvents {
	catalog(catalog: Catalog): void;
	/** A catalog was not acceptable; the one before stays valid. */
	malformed(cause: CatalogError | JsonError): void;
	/** Last event. Absent error: the publisher finished the broadcast. */
	end(error?: ErrorData): void;
}

/** Subscribes to a broadcast's catalog and tells the newest one only, however many arrive at once. */
export class CatalogWatch {
	readonly #reader: TrackReader;
	readonly #groups = new Map<number, { sequence: number; index: number }>();
	readonly #catalog = new CatalogReader();
	#newest: Catalog | undefined;

	/** Throws the core's `ErrorData` when the broadcast has no catalog track. */
	constructor(core: CoreApi, broadcast: Handle, events: CatalogWatchEvents) {
		this.#reader = new TrackReader(
			core,
			broadcast,
			CATALOG_TRACK,
			// The newest catalog is the only one that counts.
			{ priority: CATALOG_PRIORITY, ordered: false, maxLatencyMs: 0 },
			{
				group: (gid, sequence, firstFrame) => {
					this.#groups.set(gid, { sequence, index: firstFrame });
					return true;
				},
				frame: (gid, data) => this.#frame(gid, data, events),
				groupEnd: (gid) => this.#groups.delete(gid),
				idle: () => {
					this.#reader.release();
					if (!this.#newest) return;
					const catalog = this.#newest;
					this.#newest = undefined;
					events.catalog(catalog);
				},
				end: events.end,
			},
		);
	}

	close(): void {
		this.#reader.close();
	}

	#frame(gid: number, data: Uint8Array, events: CatalogWatchEvents): void {
		const group = this.#groups.get(gid);
		if (!group) return;
		try {
			this.#newest = this.#catalog.frame(group.sequence, group.index++, data) ?? this.#newest;
		} catch (error) {
			if (!(error instanceof CatalogError || error instanceof JsonError)) throw error;
			events.malformed(error);
		}
	}
}
