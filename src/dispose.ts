/** `using` needs symbols that older engines lack: classes declare the methods and get them where the symbols exist. */

/** Give a class `[Symbol.asyncDispose]()` that calls `close()`, for one that takes its time. */
export function disposeByCloseLater(type: { prototype: { close(): Promise<void> } }): void {
	if (Symbol.asyncDispose === undefined) return;
	Object.defineProperty(type.prototype, Symbol.asyncDispose, {
		value(this: { close(): Promise<void> }) {
			return this.close();
		},
		configurable: true,
		writable: true,
	});
}

/** Give a class `[Symbol.dispose]()` that calls `close()`. */
export function disposeByClose(type: { prototype: { close(): void } }): void {
	if (Symbol.dispose === undefined) return;
	Object.defineProperty(type.prototype, Symbol.dispose, {
		value(this: { close(): void }) {
			this.close();
		},
		configurable: true,
		writable: true,
	});
}
