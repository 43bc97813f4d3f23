/** The safety net under handles that were forgotten. Never the way to let go of one: collection may come late or never. */

/** What is behind a user's object and outlives it. */
export interface Owned {
	readonly isLive: boolean;
	close(): void;
}

interface Leak {
	owned: Owned;
	warning: string | undefined;
}

/** What an object needs, by the object: as long as the key lives, so do the values. */
const needs = new WeakMap<object, Set<object>>();

/**
 * While `owner` is in use, `needed` is too: a track that somebody writes to keeps its broadcast announced and its
 * connection open, whoever forgot those.
 */
export function keeping<T extends object>(owner: T, ...needed: object[]): T {
	const all = needs.get(owner) ?? new Set();
	for (const one of needed) all.add(one);
	needs.set(owner, all);
	return owner;
}

/** `owner` is in use until `waiting` settles. */
export function inUse<T>(owner: object, waiting: Promise<T>): Promise<T> {
	return waiting.finally(() => owner);
}

let registry: FinalizationRegistry<Leak> | undefined;
const warned = new Set<string>();

/** Close `owned` when `owner` is collected. `warning` is logged the first time that happens to something live. */
export function closeWhenCollected(owner: object, owned: Owned, warning?: string): void {
	// Made on first use: importing must do nothing, and not every engine has it.
	if (typeof FinalizationRegistry === "undefined") return;
	registry ??= new FinalizationRegistry(collected);
	registry.register(owner, { owned, warning }, owned);
}

/** `owned` came to its end in the right way. */
export function closed(owned: Owned): void {
	registry?.unregister(owned);
}

function collected({ owned, warning }: Leak): void {
	if (!owned.isLive) return;
	owned.close();
	if (warning === undefined || warned.has(warning)) return;
	warned.add(warning);
	console.warn(`moq-worker: ${warning}`);
}
