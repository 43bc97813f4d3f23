import type { Id } from "../../protocol/control.ts";
import { rootOf, type Table } from "../table.ts";

/** For so long after a session or a broadcast began a peer may take to ask for its announcements. The page hears within two seconds. */
export const ASK_MS = 1_500;

/** Tell the page of the connections whose peers do not ask for the broadcast, or have another of its path, once they had the time to. */
export function tellFate(table: Table, broadcast: Id): void {
	setTimeout(() => {
		const producer = table.find(broadcast, "producer");
		if (!producer) return;
		for (const connection of table.all("connection")) connection.tellFate([producer]);
	}, ASK_MS);
}

/**
 * Tell the page when what it waits for in an origin cannot come: the tokens of all connections that fill it rule the path out. Returns how to
 * stop, once it has come or is not waited for any more.
 */
export function tellUnreadable(table: Table, origin: Id, path: string, isPrefix: boolean): () => void {
	const timer = setTimeout(() => {
		const at = rootOf(table, origin, path);
		const filling = table
			.all("connection")
			.filter(({ recipe }) => recipe.consume !== undefined && rootOf(table, recipe.consume).root === at.root);
		if (filling.length === 0) return;
		// The origin of a connection may be a view itself: what lies before it is not the relay's.
		if (filling.every((connection) => connection.cannotRead(at.path, isPrefix))) filling[0]?.tellUnreadable(path);
	}, ASK_MS);
	return () => clearTimeout(timer);
}
