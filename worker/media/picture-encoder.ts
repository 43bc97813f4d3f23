import { isSupported } from "./codec.ts";

/** A keyframe, and so a group, at least this often, in µs of frame time. */
const KEYFRAME_INTERVAL_US = 2_000_000;

/** Pictures an encoder may have in hand before further ones are left out: an encoder that is behind never catches up by itself. */
const MAX_ENCODE_QUEUE = 2;

/** How long the first picture may take to come out of an encoder that is being tried, ms; hardware encoders start slowly. */
const TRIAL_TIMEOUT_MS = 5000;

/** The encoder that was chosen. */
export interface EncoderChoice {
	config: VideoEncoderConfig;
	/** What the encoder says it produces; goes into the catalog. */
	codec: string;
	framerate: number;
	bitrate: number;
}

/** Encodings to try, best first: H.264 decodes nearly everywhere. Levels 3.1 and 3.0 both hold 640×360 at 30 frames per second. */
const CANDIDATES = ["avc1.42E01F", "avc1.42E01E", "avc1.4D401F", "vp8"];

/**
 * Finds an encoder by encoding one picture with it: browsers say yes to configurations whose encoder then fails.
 *
 * @returns `undefined` when none of them works here.
 */
export async function chooseEncoder(size: {
	width: number;
	height: number;
	framerate: number;
}): Promise<EncoderChoice | undefined> {
	const { width, height, framerate } = size;
	for (const codec of CANDIDATES) {
		const factor = codec === "vp8" ? 1.1 : 1;
		const bitrate = Math.round(width * height * 0.07 * (30 + (framerate - 30) / 2) * factor);
		const config: VideoEncoderConfig = {
			codec,
			width,
			height,
			framerate,
			bitrate,
			latencyMode: "realtime",
			// Parameters in band, so that a late joiner can start at any group.
			...(codec.startsWith("avc1") && { avc: { format: "annexb" } }),
		};
		if (!(await isSupported(VideoEncoder.isConfigSupported(config)))) continue;
		const produced = await trial(config);
		if (produced !== undefined) return { config, codec: produced, framerate, bitrate };
	}
	return undefined;
}

/** Encodes one black picture; the codec string of what came out, or `undefined` when nothing did. */
async function trial(config: VideoEncoderConfig): Promise<string | undefined> {
	let encoder: VideoEncoder | undefined;
	let timer: ReturnType<typeof setTimeout> | undefined;
	try {
		return await new Promise<string | undefined>((resolve) => {
			timer = setTimeout(() => resolve(undefined), TRIAL_TIMEOUT_MS);
			encoder = new VideoEncoder({
				output: (_chunk, metadata) => resolve(metadata?.decoderConfig?.codec ?? config.codec),
				error: () => resolve(undefined),
			});
			encoder.configure(config);
			const canvas = new OffscreenCanvas(config.width, config.height);
			canvas.getContext("2d", { alpha: false })?.fillRect(0, 0, config.width, config.height);
			const frame = new VideoFrame(canvas, { timestamp: 0 });
			encoder.encode(frame, { keyFrame: true });
			frame.close();
			// Some encoders hold the first picture back until more come or they are flushed.
			encoder.flush().catch(() => resolve(undefined));
		});
	} catch {
		return undefined;
	} finally {
		clearTimeout(timer);
		if (encoder && encoder.state !== "closed") encoder.close();
	}
}

/** What a {@link PictureEncoder} tells its owner. */
export interface PictureEncoderEvents {
	/** An encoded picture; a keyframe starts a group. */
	chunk(chunk: EncodedVideoChunk): void;
	/** The encoder failed. Last event. */
	failed(cause: DOMException): void;
}

/** A `VideoEncoder` that places keyframes by frame time and leaves pictures out instead of falling behind. */
export class PictureEncoder {
	readonly #encoder: VideoEncoder;
	#lastKeyUs = Number.NEGATIVE_INFINITY;

	constructor(config: VideoEncoderConfig, events: PictureEncoderEvents) {
		this.#encoder = new VideoEncoder({
			output: (chunk) => events.chunk(chunk),
			error: (error) => events.failed(error),
		});
		this.#encoder.configure(config);
	}

	/** Takes ownership of `frame`; false when it was left out because the encoder is behind. */
	encode(frame: VideoFrame): boolean {
		try {
			if (this.#encoder.state !== "configured" || this.#encoder.encodeQueueSize > MAX_ENCODE_QUEUE) return false;
			const keyFrame = frame.timestamp - this.#lastKeyUs >= KEYFRAME_INTERVAL_US;
			this.#encoder.encode(frame, { keyFrame });
			if (keyFrame) this.#lastKeyUs = frame.timestamp;
			return true;
		} finally {
			frame.close();
		}
	}

	/** Stops; pictures that are still in the encoder are lost. */
	close(): void {
		if (this.#encoder.state !== "closed") this.#encoder.close();
	}
}
