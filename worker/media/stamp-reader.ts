import { readStamp, STAMP_AREA, STAMP_COLUMNS, STAMP_ROWS, type Stamp } from "./stamp.ts";

/** Formats whose first plane is brightness, one byte a pixel. */
const PLANAR = new Set<string | null>(["I420", "I420A", "I422", "I444", "NV12"]);

/** Pixels a cell is read at where the picture has to be drawn first. */
const READ_CELL = 8;

/**
 * Reads stamps out of decoded pictures: from the brightness plane where it lies in memory, which costs next to nothing, or
 * through a small canvas of its own.
 */
export class StampReader {
	#context: OffscreenCanvasRenderingContext2D | undefined;
	#planes = new Uint8Array(0);

	/** The picture stays the caller's, who keeps it open until the answer is there. */
	async read(frame: VideoFrame): Promise<Stamp | undefined> {
		return PLANAR.has(frame.format) ? await this.#fromPlane(frame) : this.#fromCanvas(frame);
	}

	async #fromPlane(frame: VideoFrame): Promise<Stamp | undefined> {
		const { visibleRect } = frame;
		if (!visibleRect) return undefined;
		// Chroma is shared by pairs of pixels, so a copy starts and ends at even ones.
		const even = (value: number): number => 2 * Math.round(value / 2);
		const rect = {
			x: even(visibleRect.x + STAMP_AREA.x * visibleRect.width),
			y: even(visibleRect.y + STAMP_AREA.y * visibleRect.height),
			width: even(STAMP_AREA.width * visibleRect.width),
			height: even(STAMP_AREA.height * visibleRect.height),
		};
		if (rect.width < STAMP_COLUMNS || rect.height < STAMP_ROWS) return undefined;
		const size = frame.allocationSize({ rect });
		// Two reads may overlap, so the buffer is not shared between them.
		const planes = this.#planes.length >= size ? this.#planes : new Uint8Array(size);
		this.#planes = new Uint8Array(0);
		const [layout] = await frame.copyTo(planes, { rect });
		this.#planes = planes;
		if (!layout) return undefined;
		const data = planes.subarray(layout.offset);
		return readStamp({ data, width: rect.width, height: rect.height, stride: layout.stride });
	}

	#fromCanvas(frame: VideoFrame): Stamp | undefined {
		this.#context ??= createContext();
		const context = this.#context;
		const { width, height } = context.canvas;
		const { displayWidth, displayHeight } = frame;
		const source = [
			STAMP_AREA.x * displayWidth,
			STAMP_AREA.y * displayHeight,
			STAMP_AREA.width * displayWidth,
			STAMP_AREA.height * displayHeight,
		] as const;
		context.drawImage(frame, ...source, 0, 0, width, height);
		const pixels = context.getImageData(0, 0, width, height).data;
		// Black and white are the same in all three colours.
		const data = new Uint8Array(width * height).map((_, i) => pixels[4 * i + 1] ?? 0);
		return readStamp({ data, width, height, stride: width });
	}
}

function createContext(): OffscreenCanvasRenderingContext2D {
	const canvas = new OffscreenCanvas(STAMP_COLUMNS * READ_CELL, STAMP_ROWS * READ_CELL);
	const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
	if (!context) throw new Error("this browser has no 2D context for an OffscreenCanvas");
	return context;
}
