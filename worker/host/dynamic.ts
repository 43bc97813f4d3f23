import type { CoreApi, Handle } from "../core/api.ts";
import type { Id } from "../protocol/control.ts";

/** A handler of what nobody has: of an origin, a broadcast or a track. */
export class HandlerEntry {
	readonly type = "dynamic";
	readonly core: Handle;
	readonly recipe: { of: Id; prefix?: string };
	readonly #api: CoreApi;

	constructor(api: CoreApi, of: Handle, recipe: { of: Id; prefix?: string }) {
		this.#api = api;
		this.recipe = recipe;
		this.core = api.dynamic(of, recipe.prefix);
	}

	release(): void {
		this.#api.free(this.core);
	}
}

/** Something a handler was asked for and the page has not answered. Letting go of it rejects it. */
export class RequestEntry {
	readonly type = "request";
	readonly core: Handle;
	readonly recipe: { dynamic: Id };
	readonly #api: CoreApi;

	constructor(api: CoreApi, core: Handle, recipe: { dynamic: Id }) {
		this.#api = api;
		this.core = core;
		this.recipe = recipe;
	}

	release(): void {
		this.#api.free(this.core);
	}
}
