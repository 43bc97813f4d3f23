import type { ErrorData } from "../protocol/error.ts";
import type { VideoRendition } from "./catalog.ts";

/** How long a browser may take to say whether it can decode or encode something, ms; some never answer. */
const PROBE_TIMEOUT_MS = 3000;

/** What keeps this browser from decoding, or encoding, anything at all. */
export function missing(part: "VideoDecoder" | "VideoEncoder"): ErrorData | undefined {
	if (part in globalThis) return undefined;
	const why =
		globalThis.isSecureContext === false
			? "this page is no secure context, as https pages and those of localhost are"
			: "this browser has no WebCodecs";
	return { kind: "unsupported", message: `there is no ${part}: ${why}` };
}

/**
 * The decoder configuration for a rendition, as this browser accepts it, or `undefined` when it cannot decode it.
 * `description` is what the container says, used where the catalog is silent.
 */
export async function videoDecoderConfig(
	rendition: VideoRendition,
	description: Uint8Array<ArrayBuffer> | undefined,
): Promise<VideoDecoderConfig | undefined> {
	const { codec, codedWidth, codedHeight, displayAspectWidth, displayAspectHeight, optimizeForLatency } = rendition;
	const record = rendition.description ?? description;
	const config: VideoDecoderConfig = {
		codec,
		...(record && { description: record }),
		...(codedWidth && codedHeight && { codedWidth, codedHeight }),
		...(displayAspectWidth && displayAspectHeight && { displayAspectWidth, displayAspectHeight }),
		optimizeForLatency,
		hardwareAcceleration: "no-preference",
	};
	for (const name of spellings(codec)) {
		const candidate = { ...config, codec: name };
		if (await isSupported(VideoDecoder.isConfigSupported(candidate))) return candidate;
	}
	return undefined;
}

/**
 * The names to try for a codec, best first. Safari refuses `avc3`, which differs from `avc1` only in where the parameters
 * are said to be; what decides that for a decoder is the description.
 */
export function spellings(codec: string): string[] {
	return /^avc3\./i.test(codec) ? [codec, `avc1${codec.slice(4)}`] : [codec];
}

/** Whether a WebCodecs probe says yes in time; a refusal by exception is a no. */
export async function isSupported(probe: Promise<{ supported?: boolean }>): Promise<boolean> {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const timeout = new Promise<{ supported?: boolean }>((resolve) => {
		timer = setTimeout(() => resolve({}), PROBE_TIMEOUT_MS);
	});
	try {
		return (await Promise.race([probe, timeout])).supported === true;
	} catch {
		return false;
	} finally {
		clearTimeout(timer);
	}
}

/** What decides which rendition plays, best first: the one asked for, then unstalled ones, then the larger picture, then the higher rate. */
export function rankRenditions(renditions: Iterable<VideoRendition>, preferred?: string): VideoRendition[] {
	const area = ({ codedWidth = 0, codedHeight = 0 }: VideoRendition) => codedWidth * codedHeight;
	return [...renditions].sort(
		(a, b) =>
			Number(b.name === preferred) - Number(a.name === preferred) ||
			Number(a.stalled) - Number(b.stalled) ||
			area(b) - area(a) ||
			(b.bitrate ?? 0) - (a.bitrate ?? 0),
	);
}
