/** Calls `back` when the network, or the page itself, may be back: until `signal` is aborted. */
export function onReturn(signal: AbortSignal, back: () => void): void {
	const visible = () => document.visibilityState === "visible" && back();
	globalThis.addEventListener?.("online", back, { signal });
	globalThis.addEventListener?.("pageshow", back, { signal });
	if (typeof document === "undefined") return;
	document.addEventListener("visibilitychange", visible, { signal });
	document.addEventListener("resume", back, { signal });
}
