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
