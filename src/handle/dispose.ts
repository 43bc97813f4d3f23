/** `using` needs symbols that older engines lack: classes declare the methods and get them where the symbols exist. */

/** A class whose objects have this method. */
type With<Method extends string, Result> = { prototype: Record<Method, () => Result> };

/** Give a class `[Symbol.dispose]()` that calls `method`. */
export function disposeBy<Method extends string>(type: With<Method, void>, method: Method): void {
	define(type, Symbol.dispose, function (this: Record<Method, () => void>) {
		this[method]();
	});
}

/** Give a class `[Symbol.asyncDispose]()` that calls `method` and waits for what it returns. */
export function asyncDisposeBy<Method extends string>(type: With<Method, unknown>, method: Method): void {
	define(type, Symbol.asyncDispose, async function (this: Record<Method, () => unknown>) {
		await this[method]();
	});
}

/** Names a class whose objects are no EventTargets: frameworks that wrap plain objects leave alone what has a name, and private members need that. */
export function tag(type: { prototype: object }, name: string): void {
	define(type, Symbol.toStringTag, name);
}

function define(type: { prototype: object }, symbol: symbol | undefined, value: unknown): void {
	if (symbol === undefined) return;
	Object.defineProperty(type.prototype, symbol, { value, configurable: true, writable: true });
}
