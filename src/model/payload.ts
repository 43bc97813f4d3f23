import { failure, usage } from "../handle/error.ts";

/** What a frame can be written from. Text is sent as UTF-8. */
export type FrameData = string | ArrayBuffer | ArrayBufferView;

/** How a frame is written. */
export interface WriteOptions {
	/**
	 * Hand the bytes over instead of copying them. The whole buffer behind `data` is detached, whatever part of it `data`
	 * shows. Default false.
	 */
	transfer?: boolean;
}

const encoder = new TextEncoder();

/** Also one of another realm, such as a frame's. */
function isBuffer(value: unknown): value is ArrayBuffer {
	return Object.prototype.toString.call(value) === "[object ArrayBuffer]";
}

/**
 * The bytes of a frame in a buffer of our own. `admit` throws when there are too many of them: then nothing was copied, and what was to
 * be handed over still belongs to the caller.
 */
export function payload(data: FrameData, options: WriteOptions, admit: (bytes: number) => void): Uint8Array {
	if (typeof data === "string") {
		const text = encoder.encode(data);
		admit(text.byteLength);
		return text;
	}
	const isView = ArrayBuffer.isView(data);
	if (!isView && !isBuffer(data)) throw usage("data must be a string, an ArrayBuffer or a view of one");
	const { byteLength } = data;
	admit(byteLength);
	const buffer = isView ? data.buffer : data;
	const offset = isView ? data.byteOffset : 0;
	try {
		// A shared buffer cannot be detached; its bytes could change under us.
		const isMoved = options?.transfer && isBuffer(buffer);
		const bytes = new Uint8Array(buffer, offset, byteLength);
		if (!isMoved) return bytes.slice();
		// Now, and not with the message: what the caller does to the buffer meanwhile must not harm the message.
		return new Uint8Array(structuredClone(buffer, { transfer: [buffer] }), offset, byteLength);
	} catch (error) {
		throw failure("usage", "data was handed over before, or cannot be", error);
	}
}
