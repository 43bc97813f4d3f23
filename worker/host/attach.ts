import type { CoreApi, Handle, Operation } from "../core/api.ts";
import { failure } from "../failure.ts";
import type { Id } from "../protocol/control.ts";
import { rootOf, type Table } from "./table.ts";

/** How long a broadcast may take to be there again once the connection is. Its publisher has to come back as well. */
const RETURN_MS = 30_000;
const TICK_MS = 1_000;

/** Where a track is, in terms that outlive every instance of its broadcast. `publisher`: the origin id of this one's, where known. */
export interface Place {
	origin: Id;
	path: string;
	name: string;
	publisher: string | undefined;
}

/** The track at a place, as it is now. */
export interface Attached {
	track: Handle;
	publisher: string | undefined;
}

/** Whether a session through which this origin is filled was lost, or replaced, and another one is there or to come. */
export function isReturning(table: Table, origin: Id): boolean {
	const { root } = rootOf(table, origin);
	return table
		.all("connection")
		.some(
			({ recipe, isReturning }) =>
				isReturning && recipe.consume !== undefined && rootOf(table, recipe.consume).root === root,
		);
}

/** Waits for the track at a place. Rejects with kind `dropped` when it does not come back in time, or with the end of its origin. */
export function attach(api: CoreApi, table: Table, place: Place): Operation<Attached> {
	let operation: Operation<Handle> | undefined;
	let timer: ReturnType<typeof setInterval> | undefined;
	const cancel = () => operation?.cancel();
	const find = async (): Promise<Attached> => {
		const origin = table.find(place.origin, "origin");
		if (!origin) throw failure("dropped", `the origin of track ${place.name} was closed`);
		let isLate = false;
		let waited = 0;
		operation = api.waitForBroadcast(origin.core, place.path);
		timer = setInterval(() => {
			waited = isReturning(table, place.origin) ? 0 : waited + TICK_MS;
			isLate = waited >= RETURN_MS;
			if (isLate) cancel();
		}, TICK_MS);
		try {
			const broadcast = await operation.result;
			try {
				return { track: api.track(broadcast, place.name), publisher: api.broadcastInfo(broadcast).hops[0] };
			} finally {
				api.free(broadcast);
			}
		} catch (error) {
			throw isLate ? failure("dropped", `track ${place.name}: its broadcast did not come back`) : error;
		} finally {
			clearInterval(timer);
		}
	};
	return { result: find(), cancel };
}
