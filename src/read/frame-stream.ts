import { iteration, step } from "../handle/iteration.ts";
import type { Frame } from "../model/frame.ts";

/** Frames as a stream that can be iterated in every engine. */
export type FrameStream = ReadableStream<Frame> & AsyncIterable<Frame>;

/** A stream of what `next` gives, until that is undefined. Nothing is read ahead; `leave` runs when the stream is cancelled. */
export function frameStream(next: () => Promise<Frame | undefined>, leave: () => void): FrameStream {
	const source = {
		async pull(controller: ReadableStreamDefaultController<Frame>) {
			const frame = await next();
			if (frame) controller.enqueue(frame);
			else controller.close();
		},
		cancel: leave,
	};
	const stream = new ReadableStream<Frame>(source, { highWaterMark: 0 });
	// Not every engine has it yet.
	if (!(Symbol.asyncIterator in stream)) {
		Object.defineProperty(stream, Symbol.asyncIterator, { value: () => iterate(stream) });
	}
	return stream;
}

/** As engines do it that have it: leaving the loop early cancels the stream. */
function iterate(stream: ReadableStream<Frame>): AsyncIterableIterator<Frame, undefined> {
	const reader = stream.getReader();
	return iteration(
		async () => step((await reader.read()).value),
		() => {
			// What ends the stream is told to the one who reads it.
			reader.cancel().catch(() => undefined);
			reader.releaseLock();
		},
	);
}
