import { listen, pictureMessage, renderRequest } from "../door/ports.ts";
import type { ErrorData } from "../protocol/error.ts";
import type {
	DrawnPicture,
	Orientation,
	PictureMessage,
	PictureReply,
	RenderEvent,
	RenderInit,
} from "../protocol/media.ts";
import { REPORT_INTERVAL_MS } from "../protocol/media.ts";
import { epochMs } from "./clock.ts";
import { hasGpu } from "./gpu.ts";
import { type Stamp, stampAge } from "./stamp.ts";
import { StampReader } from "./stamp-reader.ts";

/** Entries of one report; at 240 pictures a second four reports a second fit four times. */
const MAX_REPORTED = 256;

/** Starts drawing. In a worker of its own: without a GPU each draw waits for the page's thread, and must hold up nothing else. */
export function startRender(init: RenderInit): Renderer {
	return new Renderer(init);
}

/** Draws the newest picture it was sent and reports what it drew. */
export class Renderer {
	readonly #canvas: OffscreenCanvas;
	readonly #context: OffscreenCanvasRenderingContext2D;
	readonly #pictures: MessagePort;
	readonly #events: MessagePort;
	readonly #stamps: StampReader | undefined;
	/** Wakes the drawing after the messages that are already waiting, so that only the newest of them is drawn. */
	readonly #wake = new MessageChannel();
	#newest: VideoFrame | undefined;
	#orientation: Orientation = { rotation: 0, flip: false };
	#received = 0;
	#overtaken = 0;
	#drawn: DrawnPicture[] = [];
	#reported = 0;
	readonly #timer: ReturnType<typeof setInterval>;

	constructor({ canvas, pictures, events, readStamps }: RenderInit) {
		// Without a GPU a canvas in plain memory is drawn to several times faster than one on a GPU that is only played.
		const context = canvas.getContext("2d", { alpha: false, willReadFrequently: !hasGpu() });
		if (!context) throw new Error("this browser has no 2D context for an OffscreenCanvas");
		this.#canvas = canvas;
		this.#context = context;
		this.#events = events;
		this.#pictures = pictures;
		this.#stamps = readStamps ? new StampReader() : undefined;
		const fail = (error: ErrorData) => this.#fail(error);
		listen(events, renderRequest, () => events.postMessage({ type: "alive" } satisfies RenderEvent), fail);
		listen(pictures, pictureMessage, (message) => this.#message(message), fail);
		this.#wake.port1.onmessage = () => this.#draw();
		this.#timer = setInterval(() => this.#report(), REPORT_INTERVAL_MS);
	}

	/** Stops drawing; the last picture stays on the canvas. */
	close(): void {
		clearInterval(this.#timer);
		this.#newest?.close();
		this.#newest = undefined;
		this.#pictures.close();
		this.#wake.port1.close();
		this.#events.close();
	}

	/** A message that is none: nothing more is drawn. */
	#fail(error: ErrorData): void {
		this.#events.postMessage({ type: "failed", error } satisfies RenderEvent);
		this.close();
	}

	#message(message: PictureMessage): void {
		if (message.type === "orientation") {
			this.#orientation = message.orientation;
			return;
		}
		this.#received++;
		if (this.#newest) {
			this.#overtaken++;
			this.#finish(this.#newest);
		} else this.#wake.port2.postMessage(undefined);
		this.#newest = message.frame;
	}

	#draw(): void {
		const frame = this.#newest;
		if (!frame) return;
		this.#newest = undefined;
		this.#paint(frame);
		const drawnMs = epochMs();
		if (!this.#stamps) {
			this.#note({ timestampUs: frame.timestamp, drawnMs });
			this.#finish(frame);
			return;
		}
		const noted = (stamp?: Stamp): void => {
			const seen = stamp && { counter: stamp.counter, latencyMs: stampAge(stamp.capturedMs, drawnMs) };
			this.#note({ timestampUs: frame.timestamp, drawnMs, ...seen });
			this.#finish(frame);
		};
		// A picture whose pixels cannot be had counts as one without a stamp.
		this.#stamps.read(frame).then(noted, () => noted());
	}

	#note(picture: DrawnPicture): void {
		if (this.#drawn.length < MAX_REPORTED) this.#drawn.push(picture);
	}

	#paint(frame: VideoFrame): void {
		const { rotation, flip } = this.#orientation;
		const isSideways = rotation % 180 !== 0;
		const width = isSideways ? frame.displayHeight : frame.displayWidth;
		const height = isSideways ? frame.displayWidth : frame.displayHeight;
		// Setting the size clears the canvas, even to the same value.
		if (this.#canvas.width !== width || this.#canvas.height !== height) {
			this.#canvas.width = width;
			this.#canvas.height = height;
		}
		const context = this.#context;
		context.setTransform(flip ? -1 : 1, 0, 0, 1, width / 2, height / 2);
		context.rotate((rotation * Math.PI) / 180);
		context.drawImage(
			frame,
			-frame.displayWidth / 2,
			-frame.displayHeight / 2,
			frame.displayWidth,
			frame.displayHeight,
		);
	}

	#finish(frame: VideoFrame): void {
		frame.close();
		this.#pictures.postMessage({ type: "done" } satisfies PictureReply);
	}

	#report(): void {
		if (this.#received === this.#reported && this.#drawn.length === 0) return;
		this.#reported = this.#received;
		this.#events.postMessage({
			type: "drawn",
			pictures: this.#drawn,
			received: this.#received,
			overtaken: this.#overtaken,
			width: this.#canvas.width,
			height: this.#canvas.height,
		} satisfies RenderEvent);
		this.#drawn = [];
	}
}
