/**
 * A frame counter and a capture time as black and white cells in the picture, so that a player can tell from what it drew
 * which frame that was and how old it is. The cells have the size of a macroblock and carry their own check: a picture
 * that a codec, a scaler or another source changed reads as "no stamp", never as a wrong number.
 */

/** What a stamp says. */
export interface Stamp {
	/** Frame number, modulo 2^24. */
	counter: number;
	/** Capture time in whole ms since the Unix epoch, modulo 2^32. */
	capturedMs: number;
}

/** The part of a picture that a stamp is read from: exactly the stamp's area, at any scale. */
export interface StampImage {
	/** Brightness of each pixel, one byte each, row by row. */
	data: Uint8Array;
	/** Pixels. */
	width: number;
	height: number;
	/** Bytes from one row to the next. */
	stride: number;
}

const DATA_COLUMNS = 32;
/** Cells of one row: each row starts white, black and ends black, white, so that levels and alignment prove themselves. */
export const STAMP_COLUMNS = DATA_COLUMNS + 4;
export const STAMP_ROWS = 2;

/** Where the stamp sits in a 640×360 picture, pixels: cells of 16×16 on macroblock boundaries. */
const CELL = 16;
const LEFT = 32;
const TOP = 320;

/** Area of the stamp as fractions of the picture. */
export const STAMP_AREA = {
	x: LEFT / 640,
	y: TOP / 360,
	width: (STAMP_COLUMNS * CELL) / 640,
	height: (STAMP_ROWS * CELL) / 360,
};

/** A cell darker than the first is black, brighter than the second is white, anything between spoils the stamp. */
const BLACK_BELOW = 96;
const WHITE_ABOVE = 160;

/** Draws the stamp into a picture of `width` × `height` pixels. */
export function drawStamp(
	context: OffscreenCanvasRenderingContext2D,
	width: number,
	height: number,
	stamp: Stamp,
): void {
	const cellWidth = (CELL / 640) * width;
	const cellHeight = (CELL / 360) * height;
	stampCells(stamp).forEach((isWhite, i) => {
		const x = STAMP_AREA.x * width + (i % STAMP_COLUMNS) * cellWidth;
		const y = STAMP_AREA.y * height + Math.floor(i / STAMP_COLUMNS) * cellHeight;
		context.fillStyle = isWhite ? "#fff" : "#000";
		context.fillRect(x, y, cellWidth, cellHeight);
	});
}

/** Reads the stamp from an image of its area; `undefined` when a cell is unclear or the check does not hold. */
export function readStamp(image: StampImage): Stamp | undefined {
	const cells: boolean[] = [];
	for (let i = 0; i < STAMP_COLUMNS * STAMP_ROWS; i++) {
		const level = cellLevel(image, i % STAMP_COLUMNS, Math.floor(i / STAMP_COLUMNS));
		if (level > BLACK_BELOW && level < WHITE_ABOVE) return undefined;
		cells.push(level >= WHITE_ABOVE);
	}
	const bytes: number[] = [];
	for (let row = 0; row < STAMP_ROWS; row++) {
		const line = cells.slice(row * STAMP_COLUMNS, (row + 1) * STAMP_COLUMNS);
		if (!line[0] || line[1] || line[STAMP_COLUMNS - 2] || !line[STAMP_COLUMNS - 1]) return undefined;
		for (let at = 2; at < 2 + DATA_COLUMNS; at += 8) bytes.push(toByte(line.slice(at, at + 8)));
	}
	if (checksum(bytes.slice(0, 7)) !== bytes[7]) return undefined;
	return { capturedMs: toNumber(bytes.slice(0, 4)), counter: toNumber(bytes.slice(4, 7)) };
}

/** Age in ms of something captured at `capturedMs` (modulo 2^32), seen at `nowMs`; negative when the clocks disagree. */
export function stampAge(capturedMs: number, nowMs: number): number {
	const span = 2 ** 32;
	const age = (((nowMs - capturedMs) % span) + span) % span;
	return age < span / 2 ? age : age - span;
}

/** The cells of a stamp, row by row, true for white. Time in the first row; counter and check in the second. */
export function stampCells({ counter, capturedMs }: Stamp): boolean[] {
	const bytes = [...toBytes(capturedMs, 4), ...toBytes(counter, 3)];
	bytes.push(checksum(bytes));
	const bits = bytes.flatMap((byte) => Array.from({ length: 8 }, (_, bit) => ((byte >> (7 - bit)) & 1) === 1));
	const rows = [bits.slice(0, DATA_COLUMNS), bits.slice(DATA_COLUMNS)];
	return rows.flatMap((row) => [true, false, ...row, false, true]);
}

/** Mean brightness of the middle half of a cell: its edges bleed into its neighbours. */
function cellLevel({ data, width, height, stride }: StampImage, column: number, row: number): number {
	const cellWidth = width / STAMP_COLUMNS;
	const cellHeight = height / STAMP_ROWS;
	const left = Math.floor((column + 0.25) * cellWidth);
	const right = Math.max(left + 1, Math.floor((column + 0.75) * cellWidth));
	const top = Math.floor((row + 0.25) * cellHeight);
	const bottom = Math.max(top + 1, Math.floor((row + 0.75) * cellHeight));
	let sum = 0;
	for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) sum += data[y * stride + x] ?? 0;
	return sum / ((right - left) * (bottom - top));
}

function toBytes(value: number, count: number): number[] {
	return Array.from({ length: count }, (_, i) => Math.floor(value / 256 ** (count - 1 - i)) % 256);
}

function toNumber(bytes: number[]): number {
	return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

function toByte(bits: boolean[]): number {
	return bits.reduce((byte, bit) => byte * 2 + Number(bit), 0);
}

/** CRC-8 with polynomial 0x07, started at 0xff so that an all-black stamp does not check. */
function checksum(bytes: number[]): number {
	let crc = 0xff;
	for (const byte of bytes) {
		crc ^= byte;
		for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : (crc << 1) & 0xff;
	}
	return crc;
}
