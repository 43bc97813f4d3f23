import type { CoreApi, Handle } from "../core/api.ts";
import type { Id } from "../protocol/control.ts";
import type { BroadcastInfoData } from "../protocol/model.ts";

/** How a broadcast consumer came about, and can again. */
export type BroadcastRecipe =
	| { by: "request" | "wait" | "announcement"; origin: Id; path: string }
	| { by: "producer"; producer: Id };

/** A broadcast to read from. */
export class BroadcastEntry {
	readonly type = "broadcast";
	readonly core: Handle;
	readonly recipe: BroadcastRecipe;
	readonly #api: CoreApi;

	constructor(api: CoreApi, core: Handle, recipe: BroadcastRecipe) {
		this.#api = api;
		this.core = core;
		this.recipe = recipe;
	}

	clone(): BroadcastEntry {
		return new BroadcastEntry(this.#api, this.#api.cloneBroadcast(this.core), this.recipe);
	}

	release(): void {
		this.#api.free(this.core);
	}
}

/** How an announced producer came about. */
interface ProducerRecipe {
	origin: Id;
	path: string;
	info: BroadcastInfoData;
}

/** A broadcast of the page's own: announced while it lives, or made to be given to somebody. */
export class ProducerEntry {
	readonly type = "producer";
	readonly core: Handle;
	/** Absent: announced nowhere. */
	readonly recipe: ProducerRecipe | undefined;
	readonly #api: CoreApi;

	constructor(api: CoreApi, core: Handle, recipe?: ProducerRecipe) {
		this.#api = api;
		this.core = core;
		this.recipe = recipe;
	}

	release(): void {
		this.#api.free(this.core);
	}
}

/** Somebody's broadcast, announced in one more place while this lives. */
export class PublicationEntry {
	readonly type = "publication";
	readonly recipe: { origin: Id; path: string; broadcast: Id };
	readonly #api: CoreApi;
	readonly #guard: Handle;

	constructor(
		api: CoreApi,
		core: { origin: Handle; broadcast: Handle },
		recipe: { origin: Id; path: string; broadcast: Id },
	) {
		this.#api = api;
		this.recipe = recipe;
		this.#guard = api.publish(core.origin, recipe.path, core.broadcast);
	}

	release(): void {
		this.#api.free(this.#guard);
	}
}
