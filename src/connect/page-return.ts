/** Calls `back` when the network, or the page itself, may be back: until `signal` is aborted. */
export function onReturn(signal: AbortSignal, back: () => void): void {
	const visible = () => document.visibilityState === "visible" && back();
	globalThis.addEventListener?.("online", back, { signal });
	globalThis.addEventListener?.("pageshow", back, { signal });
	if (typeof document === "undefined") return;
	document.addEventListener("visibilitychange", visible, { signal });
	document.addEventListener("resume", back, { signal });
}

/** Calls `leave` when the page is left, from where it may come back (the cache of the browser): until `signal` is aborted. */
export function onLeave(signal: AbortSignal, leave: () => void): void {
	globalThis.addEventListener?.("pagehide", leave, { signal });
}
