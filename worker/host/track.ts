import type { Id } from "../protocol/control.ts";
import type { Place } from "./attach.ts";
import { CoreEntry } from "./entry.ts";

/** A track to read from, looked up in a broadcast or made by the page itself. */
export class TrackEntry extends CoreEntry<
	{ broadcast: Id; name: string; place: Place | undefined } | { published: Id; place: undefined }
> {
	readonly type = "track";
}
