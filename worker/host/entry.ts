import type { CoreApi, Handle } from "../core/api.ts";

/**
 * One object of the core that the page named, let go of with its id. `recipe` is what the page asked for, so that the same can be
 * made again.
 */
export abstract class CoreEntry<Recipe> {
	readonly core: Handle;
	readonly recipe: Recipe;
	protected readonly api: CoreApi;

	constructor(api: CoreApi, core: Handle, recipe: Recipe) {
		this.api = api;
		this.core = core;
		this.recipe = recipe;
	}

	release(): void {
		this.api.free(this.core);
	}
}
