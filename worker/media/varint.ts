/** Reads a QUIC variable-length integer (RFC 9000 §16) at the start of `bytes`; `undefined` when it is cut off or above 2^53−1. */
export function readVarint(bytes: Uint8Array, offset = 0): { value: number; end: number } | undefined {
	const first = bytes[offset];
	if (first === undefined) return undefined;
	const end = offset + (1 << (first >> 6));
	if (end > bytes.length) return undefined;
	let value = first & 0x3f;
	for (let i = offset + 1; i < end; i++) value = value * 256 + (bytes[i] ?? 0);
	return Number.isSafeInteger(value) ? { value, end } : undefined;
}

/** Bytes that `value` takes as a QUIC variable-length integer. `value` is whole, 0…2^53−1. */
export function varintLength(value: number): 1 | 2 | 4 | 8 {
	if (value < 0x40) return 1;
	if (value < 0x4000) return 2;
	return value < 0x4000_0000 ? 4 : 8;
}

/** Writes `value` at `offset` in the shortest form and returns the offset behind it; the caller has made room. */
export function writeVarint(target: Uint8Array, offset: number, value: number): number {
	const length = varintLength(value);
	let rest = value;
	for (let i = offset + length - 1; i >= offset; i--) {
		target[i] = rest % 256;
		rest = Math.floor(rest / 256);
	}
	target[offset] = (target[offset] ?? 0) | (Math.log2(length) << 6);
	return offset + length;
}
