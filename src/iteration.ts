/** One step of an iteration; undefined is its end. */
export function step<T>(value: T | undefined): IteratorResult<T, undefined> {
	return value === undefined ? { value: undefined, done: true } : { value, done: false };
}

/** An iteration by `next`; `leave` runs when it is left early. */
export function iteration<T>(
	next: () => Promise<IteratorResult<T, undefined>>,
	leave: () => void,
): AsyncIterator<T, undefined> {
	return {
		next,
		return: () => {
			leave();
			return Promise.resolve(step<T>(undefined));
		},
	};
}
