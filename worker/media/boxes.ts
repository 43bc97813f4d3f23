import { ContainerError } from "./container.ts";

/** One ISO BMFF box (ISO/IEC 14496-12 §4.2): views into the bytes it was read from. */
export interface Box {
	/** Four characters. */
	readonly type: string;
	/** Offset of the box's header from the start of the bytes that were read. */
	readonly start: number;
	/** Offset just behind the box. */
	readonly end: number;
	/** Everything behind the header. */
	readonly body: Uint8Array<ArrayBuffer>;
}

/**
 * The boxes that lie side by side in `bytes`; `isPadded`: up to zeros that some packagers write behind them.
 *
 * @throws {ContainerError} when a box claims more than there is.
 */
export function boxesIn(bytes: Uint8Array<ArrayBuffer>, isPadded = false): Box[] {
	const found: Box[] = [];
	const view = viewOf(bytes);
	for (let start = 0; start < bytes.length; ) {
		if (isPadded && bytes.subarray(start, start + 4).every((byte) => byte === 0)) break;
		if (bytes.length - start < 8) throw new ContainerError("box header cut off");
		let size = view.getUint32(start);
		let header = 8;
		if (size === 1) {
			if (bytes.length - start < 16) throw new ContainerError("box header cut off");
			size = uint64(view, start + 8);
			header = 16;
		} else if (size === 0) size = bytes.length - start;
		if (size < header || size > bytes.length - start)
			throw new ContainerError(`box of ${size} bytes where ${bytes.length - start} are left`);
		const type = String.fromCharCode(...bytes.subarray(start + 4, start + 8));
		found.push({ type, start, end: start + size, body: bytes.subarray(start + header, start + size) });
		start += size;
	}
	return found;
}

/** The first box of `type` in `bytes`, or `undefined`. */
export function findBox(bytes: Uint8Array<ArrayBuffer>, type: string): Box | undefined {
	return boxesIn(bytes).find((box) => box.type === type);
}

/**
 * Follows `path` down from `bytes`, taking the first box of each type.
 *
 * @throws {ContainerError} when one of them is missing.
 */
export function boxAt(bytes: Uint8Array<ArrayBuffer>, ...path: string[]): Box {
	let body = bytes;
	let box: Box | undefined;
	for (const type of path) {
		box = findBox(body, type);
		if (!box) throw new ContainerError(`no ${path.join("/")} box`);
		body = box.body;
	}
	if (!box) throw new ContainerError("no box named");
	return box;
}

/** Reads the fields of a box in order; every read beyond its end is a {@link ContainerError}. */
export class Fields {
	readonly #view: DataView;
	#offset: number;

	constructor(body: Uint8Array, offset = 0) {
		this.#view = viewOf(body);
		this.#offset = offset;
	}

	/** Bytes not read yet. */
	get left(): number {
		return this.#view.byteLength - this.#offset;
	}

	/** Version and flags that start a "full box". */
	version(): { version: number; flags: number } {
		const word = this.u32();
		return { version: word >>> 24, flags: word & 0xff_ffff };
	}

	u32(): number {
		return this.#view.getUint32(this.#take(4));
	}

	i32(): number {
		return this.#view.getInt32(this.#take(4));
	}

	/** @throws {ContainerError} above 2^53−1. */
	u64(): number {
		return uint64(this.#view, this.#take(8));
	}

	skip(bytes: number): void {
		this.#take(bytes);
	}

	#take(bytes: number): number {
		if (bytes > this.left) throw new ContainerError("box cut off");
		const at = this.#offset;
		this.#offset += bytes;
		return at;
	}
}

function viewOf(bytes: Uint8Array): DataView {
	return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function uint64(view: DataView, offset: number): number {
	const value = view.getUint32(offset) * 2 ** 32 + view.getUint32(offset + 4);
	if (!Number.isSafeInteger(value)) throw new ContainerError("64-bit field beyond 2^53");
	return value;
}
