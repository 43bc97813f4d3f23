import type { Id } from "../protocol/control.ts";
import type { BroadcastInfoData } from "../protocol/model.ts";
import { CoreEntry } from "./entry.ts";

/** How a broadcast consumer came about, and can again. */
export type BroadcastRecipe =
	| { by: "request" | "wait" | "announcement"; origin: Id; path: string }
	| { by: "producer"; producer: Id };

/** A broadcast to read from. */
export class BroadcastEntry extends CoreEntry<BroadcastRecipe> {
	readonly type = "broadcast";

	clone(): BroadcastEntry {
		return new BroadcastEntry(this.api, this.api.cloneBroadcast(this.core), this.recipe);
	}
}

/** How a broadcast of the page's own came about; undefined: announced nowhere. */
type ProducerRecipe = { broadcast: Id; origin: Id; path: string; info: BroadcastInfoData } | undefined;

/** A broadcast of the page's own: announced while it lives, or made to be given to somebody. */
export class ProducerEntry extends CoreEntry<ProducerRecipe> {
	readonly type = "producer";
}

/** Somebody's broadcast, announced in one more place while this lives. */
export class PublicationEntry extends CoreEntry<{ origin: Id; path: string; broadcast: Id }> {
	readonly type = "publication";
}
