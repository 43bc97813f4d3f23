import type { QueuedSample } from "./group-queue.ts";
import { Patience } from "./patience.ts";

/** Chunks a decoder may have in hand: enough to keep it busy, few enough that a skip takes effect at once. */
const MAX_DECODE_QUEUE = 4;

/** What a {@link PictureDecoder} tells its owner. */
export interface PictureDecoderEvents {
	/** A decoded picture; the receiver owns and closes it. */
	picture(frame: VideoFrame): void;
	/** There is room again. */
	room(): void;
	/** The decoder failed; it starts anew at the next group. */
	restarting(cause: DOMException): void;
	/** The decoder failed too often. Last event. */
	failed(cause: DOMException): void;
}

type State = { type: "waiting" } | { type: "running"; decoder: VideoDecoder } | { type: "closed" };

/** A `VideoDecoder` that survives its own errors: it starts at the first sample of a group and again after a failure. */
export class PictureDecoder {
	readonly #config: VideoDecoderConfig;
	readonly #events: PictureDecoderEvents;
	#state: State = { type: "waiting" };
	readonly #patience = new Patience();

	constructor(config: VideoDecoderConfig, events: PictureDecoderEvents) {
		this.#config = config;
		this.#events = events;
	}

	/** Whether a sample can be decoded now; an `room` event follows when not. */
	get hasRoom(): boolean {
		return this.#state.type !== "running" || this.#state.decoder.decodeQueueSize < MAX_DECODE_QUEUE;
	}

	/** Decodes a sample; false when it has no use because the decoder waits for the start of a group. */
	decode({ sample, isFirst }: QueuedSample): boolean {
		if (this.#state.type === "closed" || (this.#state.type === "waiting" && !isFirst)) return false;
		try {
			if (this.#state.type === "waiting") this.#state = { type: "running", decoder: this.#create() };
			const { timestampUs, durationUs, data } = sample;
			const type = isFirst || sample.isKey ? "key" : "delta";
			const duration = durationUs === undefined ? {} : { duration: durationUs };
			this.#state.decoder.decode(new EncodedVideoChunk({ type, timestamp: timestampUs, ...duration, data }));
			return true;
		} catch (error) {
			this.#fail(error instanceof DOMException ? error : new DOMException(String(error), "EncodingError"));
			return false;
		}
	}

	/** Lets go of the decoder; pictures it has not given out are lost. */
	close(): void {
		this.#release();
		this.#state = { type: "closed" };
	}

	#create(): VideoDecoder {
		const decoder: VideoDecoder = new VideoDecoder({
			output: (frame) => (this.#owns(decoder) ? this.#events.picture(frame) : frame.close()),
			error: (error) => this.#owns(decoder) && this.#fail(error),
		});
		decoder.addEventListener("dequeue", () => this.#owns(decoder) && this.#events.room());
		decoder.configure(this.#config);
		return decoder;
	}

	#owns(decoder: VideoDecoder): boolean {
		return this.#state.type === "running" && this.#state.decoder === decoder;
	}

	#fail(cause: DOMException): void {
		this.#release();
		if (this.#patience.forgives()) {
			this.#state = { type: "waiting" };
			this.#events.restarting(cause);
		} else {
			this.#state = { type: "closed" };
			this.#events.failed(cause);
		}
	}

	#release(): void {
		if (this.#state.type === "running" && this.#state.decoder.state !== "closed") this.#state.decoder.close();
	}
}
