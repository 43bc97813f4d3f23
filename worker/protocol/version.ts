/** Replaced by the build with the version in package.json. */
declare const __BUILD_VERSION__: string;

/** The version baked into this file. Page, worker and wasm of one build carry the same one; the handshake checks it. */
export const BUILD_VERSION: string = __BUILD_VERSION__;
