import type { CoreApi, Handle } from "../core/api.ts";
import type { Id } from "../protocol/control.ts";

/** A track to read from, looked up in a broadcast or made by the page itself. */
export class TrackEntry {
	readonly type = "track";
	readonly core: Handle;
	readonly recipe: { broadcast: Id; name: string } | { published: Id };
	readonly #api: CoreApi;

	constructor(api: CoreApi, core: Handle, recipe: TrackEntry["recipe"]) {
		this.#api = api;
		this.core = core;
		this.recipe = recipe;
	}

	release(): void {
		this.#api.free(this.core);
	}
}
