import type { Id } from "../protocol/control.ts";
import { CoreEntry } from "./entry.ts";

/** A track to read from, looked up in a broadcast or made by the page itself. */
export class TrackEntry extends CoreEntry<{ broadcast: Id; name: string } | { published: Id }> {
	readonly type = "track";
}
