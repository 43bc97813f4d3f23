// The published JavaScript peer in a worker as one writes it by hand: one message per frame.
import type { Where } from "../support/peer/load.ts";
import { readAll } from "./net-reader.ts";

addEventListener("message", (event: MessageEvent<Where>) => {
	readAll(event.data, (payload) => {
		// The peer's bytes may share a buffer with others; a copy can be transferred.
		const copy = payload.slice();
		postMessage(copy, { transfer: [copy.buffer] });
	}).catch((error: unknown) => postMessage({ error: String(error) }));
});
