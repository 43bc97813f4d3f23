import { epochMs } from "./clock.ts";
import { hasGpu } from "./gpu.ts";
import { drawStamp } from "./stamp.ts";

/** Size and rate of the test pattern. */
export const PATTERN = { width: 640, height: 360, framerate: 30 };

const BARS = ["#c0c0c0", "#c0c000", "#00c0c0", "#00c000", "#c000c0", "#c00000", "#0000c0"];

/** Draws the test pattern: a clock and a counter for people, and the same two numbers as a stamp for programs. */
export class TestPattern {
	readonly #canvas = new OffscreenCanvas(PATTERN.width, PATTERN.height);
	readonly #context: OffscreenCanvasRenderingContext2D;
	#counter = 0;

	constructor() {
		// Without a GPU an accelerated canvas is read back through a software GPU for every frame, at half the frame rate.
		const context = this.#canvas.getContext("2d", { alpha: false, willReadFrequently: !hasGpu() });
		if (!context) throw new Error("this browser has no 2D context for an OffscreenCanvas");
		this.#context = context;
	}

	/** The next picture, owned by the caller. `timestampUs` and `durationUs` are whole µs. */
	capture(timestampUs: number, durationUs: number): VideoFrame {
		const now = epochMs();
		const counter = this.#counter++ % 2 ** 24;
		this.#draw(now, counter);
		drawStamp(this.#context, PATTERN.width, PATTERN.height, { counter, capturedMs: Math.floor(now) % 2 ** 32 });
		return new VideoFrame(this.#canvas, { timestamp: timestampUs, duration: durationUs });
	}

	#draw(now: number, counter: number): void {
		const context = this.#context;
		const { width, height } = PATTERN;
		const bar = width / BARS.length;
		BARS.forEach((color, i) => {
			context.fillStyle = color;
			context.fillRect(i * bar, 0, bar + 1, height);
		});
		context.fillStyle = "#101418";
		context.fillRect(0, 96, width, 168);
		context.fillRect(0, 312, width, 48);
		// A hand that goes round once a second makes a stutter visible.
		const angle = ((now % 1000) / 1000) * 2 * Math.PI;
		context.strokeStyle = "#fff";
		context.lineWidth = 4;
		context.beginPath();
		context.arc(120, 180, 56, 0, 2 * Math.PI);
		context.moveTo(120, 180);
		context.lineTo(120 + 52 * Math.sin(angle), 180 - 52 * Math.cos(angle));
		context.stroke();
		context.fillStyle = "#fff";
		context.textBaseline = "middle";
		context.font = "bold 52px monospace";
		context.fillText(new Date(now).toISOString().slice(11, 23), 210, 156);
		context.font = "32px monospace";
		context.fillText(`frame ${counter}`, 212, 218);
	}
}
