import { ContainerError, type Demuxer, type Sample } from "./container.ts";
import { readVarint, varintLength, writeVarint } from "./varint.ts";

/** Container `legacy`: a varint timestamp in µs, then the codec's payload. */
export class LegacyDemuxer implements Demuxer {
	samples(frame: Uint8Array<ArrayBuffer>): Sample[] {
		const timestamp = readVarint(frame);
		if (!timestamp) throw new ContainerError("legacy frame without a timestamp");
		// An empty payload marks the end of a group or a discontinuity; a decoder must never see it.
		if (timestamp.end === frame.length) return [];
		return [{ timestampUs: timestamp.value, data: frame.subarray(timestamp.end) }];
	}
}

/** A `legacy` frame of `size` payload bytes; `fill` writes the payload into the view it is given. `timestampUs` is whole, not negative. */
export function legacyFrame(
	timestampUs: number,
	size: number,
	fill: (payload: Uint8Array<ArrayBuffer>) => void,
): Uint8Array<ArrayBuffer> {
	const frame = new Uint8Array(varintLength(timestampUs) + size);
	fill(frame.subarray(writeVarint(frame, 0, timestampUs)));
	return frame;
}
