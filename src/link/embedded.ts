/** The other files of the package, where a build carries them inside. */
export interface Embedded {
	/** Text of the worker. */
	worker: string;
	/** The wasm, compressed by gzip, as base64. */
	wasm: string;
}

/** Undefined: they lie next to this file. The builds with everything inside have another module in the place of this one (rollup.config.mjs). */
export const embedded: Embedded | undefined = undefined;
