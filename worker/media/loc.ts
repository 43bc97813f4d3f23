import { ContainerError, type Demuxer, type Sample, ticksToUs } from "./container.ts";
import { readVarint } from "./varint.ts";

/** Property types of draft-ietf-moq-loc-04 this reader knows; 0x06 is where draft-03 peers put the timestamp. */
const TIMESCALE = 0x08;
const TIMESTAMP = 0x10;
const TIMESTAMP_DRAFT_03 = 0x06;

/** Container `loc` (draft-ietf-moq-loc-04): delta-coded properties with the timestamp, then the codec's payload. */
export class LocDemuxer implements Demuxer {
	samples(frame: Uint8Array<ArrayBuffer>): Sample[] {
		const length = readVarint(frame);
		if (!length || length.end + length.value > frame.length)
			throw new ContainerError("loc properties longer than the frame");
		const end = length.end + length.value;
		const { timescale, timestamp } = readProperties(frame.subarray(length.end, end));
		if (timescale === 0) throw new ContainerError("loc timescale is zero");
		if (timestamp === undefined) throw new ContainerError("loc frame without a timestamp");
		if (end === frame.length) return [];
		return [{ timestampUs: ticksToUs(timestamp, timescale), data: frame.subarray(end) }];
	}
}

function readProperties(bytes: Uint8Array): { timescale: number; timestamp?: number } {
	let timescale = 1e6;
	let timestamp: number | undefined;
	let type = 0;
	for (let offset = 0; offset < bytes.length; ) {
		const delta = readVarint(bytes, offset);
		const value = delta && readVarint(bytes, delta.end);
		if (!delta || !value) throw new ContainerError("loc property cut off");
		type += delta.value;
		// Even types carry a number, odd ones that many bytes.
		offset = type % 2 === 0 ? value.end : value.end + value.value;
		if (offset > bytes.length) throw new ContainerError("loc property cut off");
		if (type === TIMESCALE) timescale = value.value;
		else if (type === TIMESTAMP || (type === TIMESTAMP_DRAFT_03 && timestamp === undefined)) timestamp = value.value;
	}
	return timestamp === undefined ? { timescale } : { timescale, timestamp };
}
