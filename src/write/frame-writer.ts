import { closed, closeWhenCollected, type Owned } from "../handle/collected.ts";
import { failure } from "../handle/error.ts";
import type { FrameData, WriteOptions } from "../model/payload.ts";
import type { GroupWriter } from "./group-writer.ts";

/** The page's state of one frame that is written in pieces. */
export class FrameWriter implements Owned {
	readonly size: number;
	remaining: number;
	readonly #group: GroupWriter;
	readonly #name: string;
	#isAborted = false;

	/** Known to the worker by `name`. */
	constructor(group: GroupWriter, name: string, size: number) {
		this.#group = group;
		this.#name = name;
		this.size = size;
		this.remaining = size;
	}

	hold(owner: object): void {
		closeWhenCollected(owner, this, "a FrameProducer was collected before its last byte: its readers saw it fail");
	}

	get isLive(): boolean {
		return this.remaining > 0 && !this.#isAborted && this.#group.isLive;
	}

	get ready(): Promise<void> {
		return this.#group.ready;
	}

	write(data: FrameData, options: WriteOptions): void {
		this.#group.check();
		if (this.#isAborted) throw failure("closed", "the frame was aborted");
		const isOver = this.remaining === 0;
		this.remaining -= this.#group.chunk(this.#name, this.remaining, data, options);
		if (this.remaining === 0 && !isOver) this.#over();
	}

	/** Give it up; without effect on a complete one. */
	close(): void {
		if (!this.isLive) return;
		this.#isAborted = true;
		this.#group.abortFrame(this.#name);
		this.#over();
	}

	#over(): void {
		closed(this);
		this.#group.frames.delete(this);
	}
}
