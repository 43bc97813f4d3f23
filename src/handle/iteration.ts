/** One step of an iteration; undefined is its end. */
export function step<T>(value: T | undefined): IteratorResult<T, undefined> {
	return value === undefined ? { value: undefined, done: true } : { value, done: false };
}

/** An iteration by `next`; `leave` runs when it is left early, and it is at its end then. */
export function iteration<T>(
	next: () => Promise<IteratorResult<T, undefined>>,
	leave: () => void,
): AsyncIterableIterator<T, undefined> {
	let isLeft = false;
	return {
		next: () => (isLeft ? Promise.resolve(step<T>(undefined)) : next()),
		return: () => {
			isLeft = true;
			leave();
			return Promise.resolve(step<T>(undefined));
		},
		[Symbol.asyncIterator]() {
			return this;
		},
	};
}
