import type { Id } from "../protocol/control.ts";
import { CoreEntry } from "./entry.ts";

/** How an origin came about: empty, or as a view of another. */
type OriginRecipe = { by: "page" } | { by: "view"; origin: Id; view: { prefixes: string[] } | { root: string } };

/** A table of broadcasts, or a view of one. */
export class OriginEntry extends CoreEntry<OriginRecipe> {
	readonly type = "origin";
}
