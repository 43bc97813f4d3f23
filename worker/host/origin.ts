import type { CoreApi, Handle } from "../core/api.ts";
import type { Id } from "../protocol/control.ts";

/** How an origin came about: empty, or as a view of another. */
export type OriginRecipe = { by: "page" } | { by: "view"; origin: Id; view: { prefixes: string[] } | { root: string } };

/** A table of broadcasts, or a view of one. */
export class OriginEntry {
	readonly type = "origin";
	readonly core: Handle;
	readonly recipe: OriginRecipe;
	readonly #api: CoreApi;

	constructor(api: CoreApi, core: Handle, recipe: OriginRecipe) {
		this.#api = api;
		this.core = core;
		this.recipe = recipe;
	}

	release(): void {
		this.#api.free(this.core);
	}
}
