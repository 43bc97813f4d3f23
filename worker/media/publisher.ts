import type { CoreApi, Handle } from "../core/api.ts";
import { asErrorData } from "../failure.ts";
import type { ErrorData } from "../protocol/error.ts";
import {
	type OpenPublisher,
	type PublisherEvent,
	type PublisherState,
	type PublisherStats,
	REPORT_INTERVAL_MS,
} from "../protocol/media.ts";
import { CATALOG_TRACK } from "./catalog.ts";
import { writeCatalog } from "./catalog-track.ts";
import { missing } from "./codec.ts";
import { legacyFrame } from "./legacy.ts";
import { chooseEncoder, type EncoderChoice, PictureEncoder } from "./picture-encoder.ts";
import { Scope } from "./scope.ts";
import { PATTERN, TestPattern } from "./test-pattern.ts";

/** Name of the video track; nothing depends on it, the catalog tells it. */
const VIDEO_TRACK = "video/hd";

/** Our media tracks count in µs, in the container and on the net layer alike. */
const TIMESCALE = 1_000_000;

/** How long relays keep groups of media, ms: published players and publishers declare the same. It adds no latency. */
const CACHE_MS = 30_000;

/** Pause before an encoder that failed is replaced, ms. */
const RESTART_MS = 500;

/** Encoder failures in a row, without a picture in between, before the publisher gives up. */
const MAX_FAILURES = 3;

/** Publishes the test pattern as a hang broadcast. Encodes only while somebody watches. */
export class Publisher {
	readonly #core: CoreApi;
	readonly #origin: Handle;
	readonly #path: string;
	readonly #port: MessagePort;
	readonly #scope = new Scope();
	readonly #stats: PublisherStats = { captured: 0, encoded: 0, encodedBytes: 0, dropped: 0 };
	#state: PublisherState = "starting";
	#failures = 0;
	/** One for all stretches of encoding: its counter never says the same number twice. */
	#pattern: TestPattern | undefined;

	/** Starts at once. `origin` is where the broadcast is made. */
	constructor(core: CoreApi, origin: Handle, args: OpenPublisher) {
		this.#core = core;
		this.#origin = origin;
		this.#path = args.broadcast;
		this.#port = args.port;
		this.#post({ type: "state", state: this.#state });
		this.#run().catch((error: unknown) => {
			if (this.#scope.isClosed) return;
			this.#post({ type: "error", error: asErrorData(error) });
			this.#setState("error");
			this.#scope.close();
		});
	}

	/** Finishes the tracks, withdraws the broadcast; the last message on the port is the state "closed". */
	close(): void {
		if (this.#state === "closed") return;
		if (!this.#scope.isClosed) {
			this.#setState("closed");
			this.#scope.close();
		}
		this.#state = "closed";
		this.#port.close();
	}

	async #run(): Promise<void> {
		const absent = missing("VideoEncoder");
		if (absent) throw absent;
		const choice = await chooseEncoder(PATTERN);
		if (this.#scope.isClosed) return;
		if (!choice)
			throw { kind: "unsupported", message: "no H.264 or VP8 encoder works in this browser" } satisfies ErrorData;
		const { width, height, framerate } = PATTERN;
		this.#post({ type: "encoder", codec: choice.codec, width, height, framerate });

		const core = this.#core;
		const broadcast = core.createBroadcast(this.#origin, this.#path);
		this.#scope.add(() => core.free(broadcast));
		const catalog = this.#createTrack(broadcast, CATALOG_TRACK);
		const video = this.#createTrack(broadcast, VIDEO_TRACK, { timescale: TIMESCALE, cacheMs: CACHE_MS });
		core.writeTrackFrame(catalog, writeCatalog({ track: VIDEO_TRACK, ...choice, width, height, framerate }));

		while (!this.#scope.isClosed) {
			this.#setState("idle");
			await this.#scope.wait(core.trackUsed(video));
			const failure = await this.#encode(video, choice);
			if (!failure) continue;
			if (++this.#failures >= MAX_FAILURES) {
				const message = `encoder for ${choice.config.codec} failed: ${failure.message}`;
				throw { kind: "unsupported", message } satisfies ErrorData;
			}
			await this.#scope.sleep(RESTART_MS);
		}
	}

	/** Encodes until nobody watches any more, or until the encoder fails, which is the result then. */
	async #encode(video: Handle, choice: EncoderChoice): Promise<DOMException | undefined> {
		const scope = new Scope();
		const leave = this.#scope.add(() => scope.close());
		try {
			this.#setState("encoding");
			this.#pattern ??= new TestPattern();
			const encoding = new Encoding(this.#core, video, choice, this.#pattern, this.#stats, () => {
				this.#failures = 0;
			});
			scope.add(() => encoding.close());
			const timer = setInterval(() => this.#post({ type: "stats", stats: { ...this.#stats } }), REPORT_INTERVAL_MS);
			scope.add(() => clearInterval(timer));
			const unused = scope.wait(this.#core.trackUnused(video)).then(() => undefined);
			return await Promise.race([unused, encoding.failed]);
		} finally {
			leave();
			scope.close();
		}
	}

	#createTrack(broadcast: Handle, name: string, info = {}): Handle {
		const track = this.#core.createTrack(broadcast, name, info);
		this.#scope.add(() => {
			this.#core.finishTrack(track);
			this.#core.free(track);
		});
		return track;
	}

	#setState(state: PublisherState): void {
		if (state === this.#state || this.#scope.isClosed) return;
		this.#state = state;
		this.#post({ type: "state", state });
	}

	#post(event: PublisherEvent): void {
		this.#port.postMessage(event);
	}
}

/** One stretch of encoding, from the first viewer to the last one's leaving: source, encoder, groups. */
class Encoding {
	/** Resolves when the encoder failed; never when it is closed first. */
	readonly failed: Promise<DOMException>;
	readonly #core: CoreApi;
	readonly #track: Handle;
	readonly #stats: PublisherStats;
	readonly #encoded: () => void;
	readonly #pattern: TestPattern;
	readonly #encoder: PictureEncoder;
	readonly #startMs = performance.now();
	#ticks = 0;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#group: Handle | undefined;
	#isClosed = false;

	constructor(
		core: CoreApi,
		track: Handle,
		{ config }: EncoderChoice,
		pattern: TestPattern,
		stats: PublisherStats,
		encoded: () => void,
	) {
		this.#core = core;
		this.#track = track;
		this.#pattern = pattern;
		this.#stats = stats;
		this.#encoded = encoded;
		let fail: (cause: DOMException) => void = () => {};
		this.failed = new Promise((resolve) => {
			fail = resolve;
		});
		this.#encoder = new PictureEncoder(config, {
			chunk: (chunk) => this.#write(chunk),
			failed: (cause) => fail(cause),
		});
		this.#tick();
	}

	close(): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		clearTimeout(this.#timer);
		this.#encoder.close();
		if (this.#group !== undefined) this.#core.finishGroup(this.#group);
		this.#group = undefined;
	}

	/** Against deadlines, not intervals: timers are late by their nature, and the lateness must not add up. */
	#tick(): void {
		const intervalMs = 1000 / PATTERN.framerate;
		const nowMs = performance.now();
		// One clock for every track of this worker; on the net layer and in the container the same whole µs.
		const frame = this.#pattern.capture(Math.round(nowMs * 1000), Math.round(intervalMs * 1000));
		this.#stats.captured++;
		if (!this.#encoder.encode(frame)) this.#stats.dropped++;
		// After a long pause the missed ticks are not made up for.
		this.#ticks = Math.max(this.#ticks + 1, Math.floor((nowMs - this.#startMs) / intervalMs) + 1);
		this.#timer = setTimeout(() => this.#tick(), this.#startMs + this.#ticks * intervalMs - performance.now());
	}

	#write(chunk: EncodedVideoChunk): void {
		if (this.#isClosed) return;
		if (chunk.type === "key") {
			if (this.#group !== undefined) this.#core.finishGroup(this.#group);
			this.#group = this.#core.createGroup(this.#track).handle;
		}
		if (this.#group === undefined) return;
		const frame = legacyFrame(chunk.timestamp, chunk.byteLength, (payload) => chunk.copyTo(payload));
		this.#core.writeFrame(this.#group, frame, chunk.timestamp);
		this.#stats.encoded++;
		this.#stats.encodedBytes += frame.byteLength;
		this.#encoded();
	}
}
