/**
 * What page, core worker and render worker say to each other about media. Opening a player or a publisher is one call of
 * the control plane that hands over a MessagePort; everything after that travels on the port.
 */

import type { Id } from "./control.ts";
import type { ErrorData } from "./error.ts";

/** Turns a picture upright: degrees clockwise, then a mirror image if `flip`. */
export interface Orientation {
	rotation: 0 | 90 | 180 | 270;
	flip: boolean;
}

/** Why a player shows what it shows. */
export type PlayerState =
	/** The broadcast is not announced (yet). */
	| "waiting-announce"
	/** Announced; no catalog yet, or one without video. */
	| "loading-catalog"
	/** A rendition was chosen; no picture decoded yet. */
	| "buffering"
	| "playing"
	/** The publisher finished the broadcast. */
	| "ended"
	/** The broadcast went away without finishing; the player waits for its return. */
	| "offline"
	/** No video rendition of the catalog can be decoded here. */
	| "unsupported"
	/** Given up; an error event said why. */
	| "error"
	| "closed";

/** Counts of a player since it was opened. All of them are made in the core worker. */
export interface PlayerStats {
	/** When these figures were taken: ms since the Unix epoch, from the worker's monotonic clock. */
	atMs: number;
	/** Encoded pictures taken from the network. */
	received: number;
	/** Bytes of them, container included. */
	receivedBytes: number;
	/** Pictures the decoder gave out. */
	decoded: number;
	/** Encoded pictures given up: their group came too late, or the decoder had to be restarted. */
	skipped: number;
	/** Decoded pictures closed before drawing because the render worker was busy. */
	overtaken: number;
	/** Frames or catalogs that were malformed. */
	malformed: number;
	/** Times the decoder failed and was made anew. */
	restarts: number;
}

/** What the core worker did in a span of time, whatever the page was doing. */
export interface PlayerReport {
	/** Pictures received in the span. */
	received: number;
	/** Pictures decoded in the span. */
	decoded: number;
	/** Longest time without a decoded picture inside the span, ms; the whole span when there was none. */
	longestGapMs: number;
}

/** The rendition that plays. */
export interface PlayingRendition {
	/** As in the catalog: the name of its track. */
	name: string;
	/** Codec string the decoder was configured with. */
	codec: string;
	/** How its frames are packed. */
	container: "legacy" | "loc" | "cmaf";
	/** Pixels, where the catalog says. */
	width?: number;
	/** Pixels, where the catalog says. */
	height?: number;
	/** Pictures per second, where the catalog says. */
	framerate?: number;
}

/** Opens a player. */
export interface OpenPlayer {
	/** Names the player from now on; free it to close. */
	player: Id;
	/** Where broadcasts are looked up: what a connection consumes into. */
	origin: Id;
	/** Path of the broadcast, relative to the origin. */
	broadcast: string;
	/** Play this rendition while the catalog has it, instead of choosing one. */
	rendition?: string;
	/** To whoever draws: {@link PictureMessage} out, {@link PictureReply} in. */
	pictures: MessagePort;
	/** Carries {@link PlayerRequest} to the worker and {@link PlayerEvent} to the page. */
	port: MessagePort;
}

/** Page to player: asks for a report on the span, ms since the Unix epoch. The player remembers the last 15 s of 60 pictures each. */
export interface PlayerRequest {
	type: "report";
	id: number;
	fromMs: number;
	toMs: number;
}

/** Player to page. */
export type PlayerEvent =
	| { type: "state"; state: PlayerState }
	| { type: "rendition"; rendition: PlayingRendition }
	/** Four times a second. */
	| { type: "stats"; stats: PlayerStats }
	| { type: "report"; id: number; report: PlayerReport }
	| { type: "error"; error: ErrorData };

/** Core worker to render worker: the newest decoded picture. The receiver closes it and answers `done`. */
export type PictureMessage = { type: "picture"; frame: VideoFrame } | { type: "orientation"; orientation: Orientation };

/** Render worker to core worker: one picture was closed, drawn or not. */
export type PictureReply = { type: "done" };

/** What drawing needs. */
export interface RenderInit {
	canvas: OffscreenCanvas;
	/** From a player: {@link PictureMessage} in, {@link PictureReply} out. */
	pictures: MessagePort;
	/** To the page: {@link RenderEvent}; from it: {@link RenderRequest}. */
	events: MessagePort;
	/** Read the test pattern's blocks back from every picture that is drawn. */
	readStamps: boolean;
}

/** Draws in the core worker itself: for a page that has only one worker to give. */
export interface OpenRenderer extends RenderInit {
	/** Names the renderer from now on; free it to stop drawing. */
	renderer: Id;
}

/** One picture that was drawn. */
export interface DrawnPicture {
	/** Presentation time, µs of the broadcast's media clock. */
	timestampUs: number;
	/** When the draw was done: ms since the Unix epoch. */
	drawnMs: number;
	/** Frame counter read from the test pattern's blocks; absent when they were not asked for or could not be read. */
	counter?: number;
	/** Capture to drawn, ms; present exactly when `counter` is. */
	latencyMs?: number;
}

/** Page to render worker: asks for a sign of life. */
export type RenderRequest = { type: "ping" };

/** Render worker to page. */
export type RenderEvent =
	/** The answer to a ping. */
	| { type: "alive" }
	/** Nothing more is drawn. Last message. */
	| { type: "failed"; error: ErrorData }
	/** At most four times a second and only when there is news. */
	| {
			type: "drawn";
			/** What was drawn since the last message, oldest first. */
			pictures: DrawnPicture[];
			/** Pictures received so far. */
			received: number;
			/** Pictures closed undrawn so far because a newer one was there. */
			overtaken: number;
			/** Size of the canvas, pixels. */
			width: number;
			height: number;
	  };

/** Opens a publisher. */
export interface OpenPublisher {
	/** Names the publisher from now on; free it to close. */
	publisher: Id;
	/** Where the broadcast is made: what a connection publishes from. */
	origin: Id;
	/** Path of the broadcast, ending in `.hang` by convention. */
	broadcast: string;
	/** What is published; a 640×360 test pattern at 30 frames per second. */
	source: "test-pattern";
	/** Carries {@link PublisherEvent} to the page. */
	port: MessagePort;
}

/** What a publisher is doing. */
export type PublisherState =
	/** Looking for an encoder. */
	| "starting"
	/** Announced; nobody watches, so nothing is encoded. */
	| "idle"
	| "encoding"
	/** Given up; an error event said why. */
	| "error"
	| "closed";

/** Counts of a publisher since it was opened. */
export interface PublisherStats {
	/** Pictures drawn by the source while somebody watched. */
	captured: number;
	/** Pictures the encoder gave out. */
	encoded: number;
	/** Bytes of them. */
	encodedBytes: number;
	/** Pictures left out because the encoder was behind. */
	dropped: number;
}

/** Publisher to page. */
export type PublisherEvent =
	| { type: "state"; state: PublisherState }
	/** The encoder that was chosen. */
	| { type: "encoder"; codec: string; width: number; height: number; framerate: number }
	/** Four times a second while encoding. */
	| { type: "stats"; stats: PublisherStats }
	| { type: "error"; error: ErrorData };

/** How often media parts report to the page, ms: fast enough for people, and four messages a second cost the page nothing. */
export const REPORT_INTERVAL_MS = 250;
