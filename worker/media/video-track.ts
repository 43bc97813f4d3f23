import type { CoreApi, Handle } from "../core/api.ts";
import type { ErrorData } from "../protocol/error.ts";
import { ContainerError, type Demuxer } from "./container.ts";
import { GroupQueue } from "./group-queue.ts";
import { PictureDecoder } from "./picture-decoder.ts";
import { TrackReader } from "./track-reader.ts";

/** Subscribe priority of video, below catalog and audio, as published players have it. */
const VIDEO_PRIORITY = 60;

/** How far a group may fall behind the newest picture before it is given up, ms. */
const BUDGET_MS = 500;

/** With more than this waiting for the decoder, nothing further is let in. */
const MAX_QUEUED_SAMPLES = 32;

/** What a {@link VideoTrack} tells its owner. */
export interface VideoTrackEvents {
	/** A frame of the track arrived, with so many encoded pictures in it. */
	received(pictures: number, bytes: number): void;
	/** A decoded picture; the receiver owns and closes it. */
	picture(frame: VideoFrame): void;
	/** So many encoded pictures will not be decoded. */
	skipped(pictures: number): void;
	malformed(cause: ContainerError): void;
	restarting(cause: DOMException): void;
	/** The decoder was given up. Last event. */
	failed(cause: DOMException): void;
	/** The track is over. Absent error: it was finished. Last event. */
	end(error?: ErrorData): void;
}

/** One rendition being played: subscription, container, decode order, decoder. */
export class VideoTrack {
	readonly #events: VideoTrackEvents;
	readonly #demuxer: Demuxer;
	readonly #queue = new GroupQueue(BUDGET_MS);
	readonly #decoder: PictureDecoder;
	readonly #reader: TrackReader;

	/** Subscribes at once. Throws the core's `ErrorData` when the broadcast has no such track. */
	constructor(
		core: CoreApi,
		broadcast: Handle,
		name: string,
		decoding: { demuxer: Demuxer; config: VideoDecoderConfig },
		events: VideoTrackEvents,
	) {
		this.#events = events;
		this.#demuxer = decoding.demuxer;
		this.#decoder = new PictureDecoder(decoding.config, {
			picture: (frame) => events.picture(frame),
			room: () => this.#pump(),
			restarting: (cause) => events.restarting(cause),
			failed: (cause) => {
				this.close();
				events.failed(cause);
			},
		});
		this.#reader = new TrackReader(
			core,
			broadcast,
			name,
			{ priority: VIDEO_PRIORITY, ordered: false, maxLatencyMs: BUDGET_MS },
			{
				group: (gid, sequence, firstFrame) => this.#queue.open(gid, sequence, firstFrame),
				frame: (gid, data) => this.#frame(gid, data),
				groupEnd: (gid) => this.#queue.complete(gid),
				idle: () => this.#pump(),
				end: (error) => events.end(error),
			},
		);
	}

	close(): void {
		this.#reader.close();
		this.#decoder.close();
	}

	#frame(gid: number, data: Uint8Array<ArrayBuffer>): void {
		try {
			const samples = this.#demuxer.samples(data);
			this.#events.received(samples.length, data.byteLength);
			if (!this.#queue.add(gid, samples)) this.#events.skipped(samples.length);
		} catch (error) {
			if (!(error instanceof ContainerError)) throw error;
			this.#events.malformed(error);
		}
	}

	#pump(): void {
		for (let skipped = this.#queue.skip(); skipped; skipped = this.#queue.skip()) {
			if (!skipped.isComplete) this.#reader.skip(skipped.gid);
			this.#events.skipped(skipped.samples);
		}
		while (this.#decoder.hasRoom) {
			const next = this.#queue.take();
			if (!next) break;
			if (!this.#decoder.decode(next)) this.#events.skipped(1);
		}
		if (this.#queue.length <= MAX_QUEUED_SAMPLES) this.#reader.release();
		const starving = this.#queue.starving;
		if (starving !== undefined) this.#reader.want(starving);
	}
}
