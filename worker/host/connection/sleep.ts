/** A timer that is late by more than this was not late: the machine, or the page with its worker, stood still. */
const GAP_MS = 5_000;
const TICK_MS = 1_000;

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

/** Calls `awake` after each time in which no time passed here. Returns how to stop. */
export function onAwake(awake: () => void): () => void {
	listeners.add(awake);
	timer ??= watch();
	return () => {
		listeners.delete(awake);
		if (listeners.size > 0) return;
		clearInterval(timer);
		timer = undefined;
	};
}

function watch(): ReturnType<typeof setInterval> {
	// Not performance.now(), which may stand still as well.
	let last = Date.now();
	return setInterval(() => {
		const now = Date.now();
		const slept = now - last > GAP_MS + TICK_MS;
		last = now;
		if (slept) for (const awake of [...listeners]) awake();
	}, TICK_MS);
}
