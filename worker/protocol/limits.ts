/** Bounds and deadlines of the traffic between page and worker. Each is a default with a reason; lower values work too. */

/** Credit of one port: at most this many frames and bytes are on their way or unread. */
export interface Window {
	frames: number;
	bytes: number;
}

/** Worker to page, per subscription or fetched group: enough for two video groups, little enough to skip quickly. */
export const READ_WINDOW: Window = { frames: 64, bytes: 4 * 1024 * 1024 };

/** The window of frames grows up to this while the page keeps up: 100 ms of twenty thousand frames a second, twice. */
export const READ_FRAMES_MAX = 4096;

/** Half a window read within this doubles it: more than twenty grants a second cost the page more than they give. */
export const READ_QUICK_MS = 50;

/** Half a window that took longer than this halves it again. Far from the other, so that it settles. */
export const READ_SLOW_MS = 250;

/**
 * Groups of one subscription that a page may take, or let lie, without reading anything of them while it asks for more. Their
 * frames stay in the worker once the window is full; what each costs beyond that is small, but not nothing.
 */
export const UNREAD_GROUPS = 1024;

/** Page to worker, per published track. */
export const WRITE_WINDOW: Window = { frames: 64, bytes: 4 * 1024 * 1024 };

/** What a page that ignores `ready` may queue beyond the window before writing throws: memory must not grow for ever. */
export const WRITE_BACKLOG: Window = { frames: 1024, bytes: 16 * 1024 * 1024 };

/** Largest frame, bytes. The core has the same limit; one that is refused there would be missed by nobody. */
export const MAX_FRAME_BYTES = 16 * 1024 * 1024;

/** Frames and bytes of one group that are kept. Beyond them its oldest frames go, which its writer is told. The core has the same limits. */
export const MAX_GROUP: Window = { frames: 8192, bytes: 32 * 1024 * 1024 };

/** Largest datagram, payload bytes: what fits every path with the headers around it. The core has the same limit. */
export const MAX_DATAGRAM_BYTES = 1140;

/** Datagrams the page keeps unread; the oldest give way, as on the network. */
export const DATAGRAM_BACKLOG = 64;

/** Announcements handed to a page that has not asked for more: one per round trip would be slow on a long first list. */
export const ANNOUNCE_WINDOW = 32;

/**
 * Questions that one worker has at a time (a subscription, a group, properties of a track, a broadcast): further ones wait on the
 * page. And calls that wait for something to happen: the next one is refused with kind `too-many-pending`.
 */
export const MAX_PENDING_CALLS = 1024;

/** Questions that wait on the page for their turn. The next one is refused with kind `too-many-pending`. */
export const MAX_QUEUED_CALLS = 16_384;

/** From the start of the worker script to a core that takes calls. Covers a slow download of the wasm. */
export const START_DEADLINE_MS = 10_000;

/** One ping while anything waits for the worker: three of them missed after an answer are noticed within 6 s. */
export const HEARTBEAT_MS = 1_300;

/** Pings in a row without an answer before the worker counts as dead: no honest turn of it lasts this long. */
export const HEARTBEAT_MISSES = 3;

/** From the first dial to an agreed version. */
export const CONNECT_DEADLINE_MS = 15_000;

/** How long a close waits for its code to reach the peer before the worker is let go. */
export const CLOSE_DEADLINE_MS = 1_000;

/**
 * Streams that the peer may have open to this worker for requests: a relay opens one for each track of the page that is read. Set
 * over WebSocket; over WebTransport browsers decide, and are told what to expect.
 */
export const REQUEST_STREAMS = 1024;
