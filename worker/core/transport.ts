/**
 * The seam between the core and whatever moves bytes. The core side (`TransportInput`) is implemented in this room,
 * the network side (`OpenTransport`) in `worker/transport`; a test may plug in memory instead.
 *
 * A stream is a number the core hands out, never 0 and never used again. Calls on either side do not throw for a
 * stream that is already gone: resets cross on the way.
 */

/** What a transport tells the core. Every call is cheap and only marks work; the core runs after the current turn. */
export interface TransportInput {
	/** The peer opened a stream. Returns its number, or 0 when the session is over and the stream must be refused. */
	accepted(bidirectional: boolean): number;
	/** A stream the core asked for is open. */
	opened(stream: number): void;
	/** A stream the core asked for could not be opened. */
	openFailed(stream: number, reason: string): void;
	/**
	 * Bytes arrived in order, at most 64 KiB; `fin` marks the last of them (`bytes` may be empty then).
	 * They are copied before this returns. False: stop reading this stream until `resume`.
	 */
	received(stream: number, bytes: Uint8Array, fin: boolean): boolean;
	/** The peer reset its sending side, or the stream broke (`code` absent). */
	resetByPeer(stream: number, code: number | undefined): void;
	/** `bytes` of earlier writes were taken by the transport: the window opens by that much. */
	written(stream: number, bytes: number): void;
	/** The sending side ended well: everything was delivered to the transport, FIN included. */
	sendClosed(stream: number): void;
	/** The peer asked us to stop sending, or the stream broke (`code` absent). */
	stoppedByPeer(stream: number, code: number | undefined): void;
	/** A datagram arrived. */
	datagram(bytes: Uint8Array): void;
	/** The session ended with a code; nothing follows. */
	closed(code: number, reason: string): void;
	/** The session was lost; nothing follows. */
	failed(reason: string): void;
}

/** What the core asks of a transport. Calls return at once; outcomes come back through `TransportInput`. */
export interface TransportOutput {
	open(stream: number, bidirectional: boolean): void;
	/** `data` belongs to the transport from here on. Never more than the window of the stream is outstanding. */
	write(stream: number, data: Uint8Array): void;
	finish(stream: number): void;
	reset(stream: number, code: number): void;
	stop(stream: number, code: number): void;
	/** Send order of the stream, higher first; ignored where the platform has none. */
	priority(stream: number, order: number): void;
	/** The reader made room: go on reading. */
	resume(stream: number): void;
	/** Best effort; `data` belongs to the transport from here on. */
	datagram(data: Uint8Array): void;
	/** End the session once what was written so far is on its way. `closed` or `failed` follows within a second. */
	close(code: number, reason: string): void;
}

/** An established transport session that nothing reads yet. */
export interface OpenTransport {
	/** Which of the two ways to the peer this is. */
	readonly kind: "webtransport" | "websocket";
	/** The sub-protocol that was agreed on, empty when none was: then the version is settled in band. */
	readonly protocol: string;
	/** Largest datagram payload that can be sent, 0 where datagrams cannot be sent. */
	readonly maxDatagramBytes: number;
	/** Why the other way lost, when both were tried. */
	readonly lost?: string;
	/** Start pumping. Called exactly once. */
	start(input: TransportInput): TransportOutput;
	/** Give the session up before `start` was called. */
	discard(): void;
}
