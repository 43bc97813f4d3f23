/**
 * The one file that touches wasm memory. Any call into wasm may grow the memory and detach every view, so views are
 * taken anew whenever the buffer is another one.
 */

/** Views over the memory of one instance. */
export class Memory {
	readonly #memory: WebAssembly.Memory;
	#bytes = new Uint8Array(0);
	#view = new DataView(new ArrayBuffer(0));

	constructor(memory: WebAssembly.Memory) {
		this.#memory = memory;
	}

	/** Size in bytes; it only grows. */
	get size(): number {
		return this.#memory.buffer.byteLength;
	}

	/** The memory as bytes. Void after the next call into wasm. */
	get bytes(): Uint8Array {
		this.#refresh();
		return this.#bytes;
	}

	/** The memory for reading numbers. Void after the next call into wasm. */
	get view(): DataView {
		this.#refresh();
		return this.#view;
	}

	/** Put `data` where the core reserved room for it. */
	write(pointer: number, data: Uint8Array): void {
		this.bytes.set(data, pointer);
	}

	/** A copy that is the caller's own. */
	copy(pointer: number, length: number): Uint8Array<ArrayBuffer> {
		return this.bytes.slice(pointer, pointer + length) as Uint8Array<ArrayBuffer>;
	}

	/** UTF-8 text. */
	text(pointer: number, length: number): string {
		return decoder.decode(this.bytes.subarray(pointer, pointer + length));
	}

	#refresh(): void {
		if (this.#bytes.buffer === this.#memory.buffer) return;
		this.#bytes = new Uint8Array(this.#memory.buffer);
		this.#view = new DataView(this.#memory.buffer);
	}
}

const decoder = new TextDecoder();
