/** Versions as they are offered on the wire. */

import type { Version } from "../protocol/model.ts";

/** Sub-protocol tokens for these versions, in their order, each once. 02 and 01 share a token and settle it in band. */
export function tokens(versions: readonly Version[]): string[] {
	return [...new Set(versions.map(token))];
}

function token(version: Version): string {
	return version === "moq-lite-02" || version === "moq-lite-01" ? "moql" : version;
}
