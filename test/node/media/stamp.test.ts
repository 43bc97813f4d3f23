import { describe, expect, it } from "vitest";
import { readStamp, STAMP_COLUMNS, STAMP_ROWS, type Stamp, stampAge, stampCells } from "../../../worker/media/stamp.ts";

/** A stamp's area as a picture shows it: `black` and `white` levels, `size` pixels a cell, deterministic noise of ± `noise`. */
function picture(stamp: Stamp, { black = 16, white = 235, size = 8, noise = 0 } = {}) {
	const width = STAMP_COLUMNS * size;
	const height = STAMP_ROWS * size;
	const data = new Uint8ClampedArray(width * height);
	const cells = stampCells(stamp);
	let seed = 1;
	for (let i = 0; i < width * height; i++) {
		seed = (seed * 48271) % 2147483647;
		const column = Math.floor((i % width) / size);
		const row = Math.floor(Math.floor(i / width) / size);
		const level = (cells[row * STAMP_COLUMNS + column] ? white : black) + ((seed / 2147483647) * 2 - 1) * noise;
		data[i] = level;
	}
	return { data: new Uint8Array(data), width, height, stride: width };
}

const stamp = { counter: 0x00c0ffee % 2 ** 24, capturedMs: 0xdeadbeef };

describe("stamp", () => {
	it("survives limited range, scaling and strong noise", () => {
		for (const change of [
			{},
			{ black: 0, white: 255 },
			{ black: 60, white: 180 },
			{ size: 2 },
			{ size: 21 },
			{ noise: 90 },
		])
			expect(readStamp(picture(stamp, change)), JSON.stringify(change)).toEqual(stamp);
		for (const edge of [0, 1, 2 ** 24 - 1])
			expect(readStamp(picture({ counter: edge, capturedMs: 2 ** 32 - 1 - edge }))?.counter).toBe(edge);
	});

	it("is unread when any one cell is wrong or unclear", () => {
		for (let cell = 0; cell < STAMP_COLUMNS * STAMP_ROWS; cell++) {
			for (const level of ["flipped", "grey"]) {
				const image = picture(stamp);
				const left = (cell % STAMP_COLUMNS) * 8;
				const top = Math.floor(cell / STAMP_COLUMNS) * 8;
				for (let y = top; y < top + 8; y++)
					for (let x = left; x < left + 8; x++) {
						const at = y * image.width + x;
						image.data[at] = level === "grey" ? 128 : 251 - (image.data[at] ?? 0);
					}
				expect(readStamp(image), `cell ${cell} ${level}`).toBeUndefined();
			}
		}
	});

	it("is unread in pictures that have none", () => {
		const image = picture(stamp);
		for (const level of [0, 128, 255])
			expect(readStamp({ ...image, data: image.data.map(() => level) })).toBeUndefined();
		expect(readStamp(picture(stamp, { black: 235, white: 16 }))).toBeUndefined();
	});

	it("tells an age across the wrap of its time, and a clock that is ahead", () => {
		const now = 1_790_000_000_123;
		expect(stampAge((now - 40) % 2 ** 32, now)).toBe(40);
		expect(stampAge((now + 5) % 2 ** 32, now)).toBe(-5);
		expect(stampAge(2 ** 32 - 1, 2 ** 32 * 3)).toBe(1);
	});
});
