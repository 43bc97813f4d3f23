import { usage } from "./error.ts";

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

/** The bytes of a frame in a buffer of our own. */
export function payload(data: FrameData, options: WriteOptions): Uint8Array {
	if (typeof data === "string") return encoder.encode(data);
	if (data instanceof ArrayBuffer) {
		const view = new Uint8Array(data);
		return options.transfer ? view : view.slice();
	}
	if (!ArrayBuffer.isView(data)) throw usage("data must be a string, an ArrayBuffer or a view of one");
	const view = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
	// A shared buffer cannot be detached; its bytes could change under us.
	if (options.transfer && data.buffer instanceof ArrayBuffer) return view;
	return new Uint8Array(view);
}
