/**
 * The part of WebTransport that is used here, as types of our own: the DOM library lacks some of it, and the WebSocket
 * fallback and the tests' memory transport offer only this much.
 */

/** What a session closes with. */
export interface CloseInfo {
	closeCode?: number;
	reason?: string;
}

/** A stream in both directions. */
export interface BidirectionalLike {
	readonly readable: ReadableStream<Uint8Array>;
	readonly writable: WritableStream<Uint8Array>;
}

/** Datagrams of a session. Writing is `createWritable()` in newer browsers, `writable` in older ones, or absent. */
export interface DatagramsLike {
	readonly readable: ReadableStream<Uint8Array>;
	readonly maxDatagramSize: number;
	readonly writable?: WritableStream<Uint8Array>;
	createWritable?(): WritableStream<Uint8Array>;
}

/** A session of WebTransport or of something shaped like it. */
export interface WebTransportLike {
	readonly ready: Promise<unknown>;
	readonly closed: Promise<CloseInfo>;
	/** Absent in browsers that do not negotiate sub-protocols. */
	readonly protocol?: string;
	readonly incomingUnidirectionalStreams: ReadableStream<ReadableStream<Uint8Array>>;
	readonly incomingBidirectionalStreams: ReadableStream<BidirectionalLike>;
	readonly datagrams?: DatagramsLike;
	createUnidirectionalStream(): Promise<WritableStream<Uint8Array>>;
	createBidirectionalStream(): Promise<BidirectionalLike>;
	close(info?: CloseInfo): void;
}
