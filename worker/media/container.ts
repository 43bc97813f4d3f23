/** One decodable unit taken out of a frame of a track. */
export interface Sample {
	/** Presentation time, whole µs of the broadcast's media clock. */
	timestampUs: number;
	/** µs; absent when the container does not say or says "unknown". */
	durationUs?: number;
	/** What the container says about this sample; absent when it cannot tell. The first sample of a group is a keyframe in any case. */
	isKey?: boolean;
	/** View into the frame. */
	data: Uint8Array<ArrayBuffer>;
}

/** A frame that its container's rules forbid: it is counted and dropped, the track goes on. */
export class ContainerError extends Error {
	override readonly name = "ContainerError";
}

/** Takes the samples out of the frames of one track. */
export interface Demuxer {
	/** Decoder configuration record found in the container, for catalogs that leave it out. */
	readonly description?: Uint8Array<ArrayBuffer> | undefined;
	/**
	 * The samples of one frame in decode order; none for a marker.
	 *
	 * @throws {ContainerError} when the frame is malformed.
	 */
	samples(frame: Uint8Array<ArrayBuffer>): Sample[];
}

/** Whole µs nearest to `ticks` of `timescale` per second; exact for every time a player can meet, where one multiplication would round twice. */
export function ticksToUs(ticks: number, timescale: number): number {
	const seconds = Math.floor(ticks / timescale);
	return seconds * 1e6 + Math.round(((ticks - seconds * timescale) * 1e6) / timescale);
}
