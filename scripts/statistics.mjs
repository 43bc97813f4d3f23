// Figures of several rounds as one.

/** The middle of the numbers. */
export function median(numbers) {
	const sorted = [...numbers].sort((a, b) => a - b);
	const middle = sorted.length >> 1;
	return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Median with the lowest and highest round, as `12.3 (11.9–13.0)`; a dash where a round has none. */
export function spread(numbers, digits = 1) {
	if (numbers.length === 0 || numbers.some((number) => number === null || number === undefined)) return "–";
	const text = (number) => number.toFixed(digits);
	return `${text(median(numbers))} (${text(Math.min(...numbers))}–${text(Math.max(...numbers))})`;
}
