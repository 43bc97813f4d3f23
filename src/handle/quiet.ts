/** The same promise, which raises no unhandled rejection when no code awaits it. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
	promise.catch(() => undefined);
	return promise;
}
