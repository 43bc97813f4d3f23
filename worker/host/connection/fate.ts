import type { Id } from "../../protocol/control.ts";
import type { Table } from "../table.ts";

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
