/** Now in ms since the Unix epoch, from the monotonic clock: comparable between page and workers, and never set back. */
export function epochMs(): number {
	return performance.timeOrigin + performance.now();
}
