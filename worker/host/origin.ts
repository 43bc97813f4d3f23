import type { CoreApi, Handle } from "../core/api.ts";

/** A table of broadcasts. Its recipe is empty: an origin is whatever was put into it. */
export class OriginEntry {
	readonly type = "origin";
	readonly core: Handle;
	readonly #api: CoreApi;

	constructor(api: CoreApi) {
		this.#api = api;
		this.core = api.createOrigin();
	}

	release(): void {
		this.#api.free(this.core);
	}
}
