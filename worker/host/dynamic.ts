import type { Id } from "../protocol/control.ts";
import { CoreEntry } from "./entry.ts";

/** A handler of what nobody has: of an origin, a broadcast or a track. */
export class HandlerEntry extends CoreEntry<{ of: Id; prefix?: string }> {
	readonly type = "dynamic";
}

/** Something a handler was asked for and the page has not answered. Letting go of it rejects it. */
export class RequestEntry extends CoreEntry<{ dynamic: Id }> {
	readonly type = "request";
}
