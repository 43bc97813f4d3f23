import type { CoreApi, Handle, Operation, PendingSubscription, Sink } from "../core/api.ts";
import { listen, readerRequest } from "../door/ports.ts";
import { asErrorData, failure } from "../failure.ts";
import type { Id } from "../protocol/control.ts";
import type { Window } from "../protocol/limits.ts";
import type { SubscriptionData, TrackInfoData } from "../protocol/model.ts";
import type { ReaderEvent, ReaderRequest } from "../protocol/port.ts";
import { type Attached, attach, isReturning, type Place } from "./attach.ts";
import type { Table } from "./table.ts";

/** Sends what the core delivers to the page; each batch is a buffer of its own, which goes over. */
function portSink(port: MessagePort): Sink {
	return {
		batch(buffer, frames, bytes) {
			port.postMessage({ type: "batch", buffer, frames, bytes } satisfies ReaderEvent, [buffer]);
		},
		end(error) {
			port.postMessage((error ? { type: "end", error } : { type: "end" }) satisfies ReaderEvent);
		},
	};
}

/** Hear the page. A malformed request ends the reader with an error. */
function serve(port: MessagePort, handle: (request: ReaderRequest) => void): void {
	listen(port, readerRequest, handle, (error) => port.postMessage({ type: "end", error } satisfies ReaderEvent));
}

type State =
	| { type: "attached"; pending: PendingSubscription }
	/** What it was read from is gone; the page has to say where to go on. */
	| { type: "cut" }
	| { type: "searching"; operation: Operation<Attached> }
	| { type: "over" };

/** How the page asked for a subscription, and what it steered since: what it takes to make it again. */
interface SubscriptionRecipe {
	track: Id;
	prefs: SubscriptionData;
	place: Place | undefined;
	isByArrival?: boolean;
	wantsDatagrams?: boolean;
	startAt?: number;
	endAt?: number;
}

/**
 * One live subscription and its port. It outlives the instance of its broadcast where a session was lost or replaced: what comes back is read
 * on from where the page was.
 */
export class SubscriptionEntry {
	readonly type = "subscription";
	readonly recipe: SubscriptionRecipe;
	readonly #api: CoreApi;
	readonly #table: Table;
	readonly #port: MessagePort;
	#state: State;

	constructor(
		{ api, table }: { api: CoreApi; table: Table },
		track: Handle,
		recipe: { track: Id; prefs: SubscriptionData; place: Place | undefined },
		data: { port: MessagePort; credit: Window },
	) {
		this.#api = api;
		this.#table = table;
		this.recipe = recipe;
		this.#port = data.port;
		const pending = api.subscribe(track, recipe.prefs, portSink(data.port));
		this.#state = { type: "attached", pending };
		api.grant(pending.handle, data.credit.frames, data.credit.bytes);
		serve(data.port, (request) => this.#handle(request));
	}

	/** The track's properties, once the publisher confirmed. */
	get confirmed(): Promise<TrackInfoData> {
		if (this.#state.type === "attached") return this.#state.pending.result;
		throw failure("invalid-state", "the subscription is not new");
	}

	release(): void {
		this.#port.onmessage = null;
		this.#leave();
		this.#state = { type: "over" };
		this.#port.close();
	}

	/** Let go of what it is read from. */
	#leave(): void {
		if (this.#state.type === "attached") this.#api.free(this.#state.pending.handle);
		if (this.#state.type === "searching") this.#state.operation.cancel();
	}

	/** The page has heard that no group follows, as after the loss of a session. */
	#lost(): void {
		const { place } = this.recipe;
		if (this.#state.type !== "attached") return;
		if (!place || !isReturning(this.#table, place.origin)) {
			this.#post({ type: "over" });
			return;
		}
		this.#leave();
		this.#state = { type: "cut" };
		this.#post({ type: "cut" });
	}

	/** Find the track again, and go on with group `next`. */
	async #resume(next: number | undefined, credit: Window): Promise<void> {
		const { place, prefs } = this.recipe;
		if (this.#state.type !== "cut" || !place) return;
		const operation = attach(this.#api, this.#table, place);
		this.#state = { type: "searching", operation };
		try {
			const { track, publisher } = await operation.result;
			if (this.#isOver()) {
				this.#api.free(track);
				return;
			}
			const isSame = publisher !== undefined && publisher === place.publisher;
			place.publisher = publisher;
			// A publisher that is another one, or may be, counts from where it likes.
			const { groupStart: _, ...rest } = prefs;
			const from = isSame && next !== undefined ? { ...rest, groupStart: next } : isSame ? prefs : rest;
			this.#post({ type: "resumed", isRestart: !isSame });
			this.#subscribe(track, from, credit);
		} catch (error) {
			if (this.#isOver()) return;
			const data = asErrorData(error);
			// The end of its origin is that of the connection, and for the same reason.
			this.#post(data.kind === "dropped" ? { type: "end", error: data } : { type: "over" });
		}
	}

	#subscribe(track: Handle, prefs: SubscriptionData, credit: Window): void {
		const pending = this.#api.subscribe(track, prefs, portSink(this.#port));
		this.#api.free(track);
		this.#state = { type: "attached", pending };
		const { handle } = pending;
		const { isByArrival, wantsDatagrams, startAt, endAt } = this.recipe;
		if (isByArrival) this.#api.setOrder(handle, true);
		if (wantsDatagrams) this.#api.wantDatagrams(handle);
		if (startAt !== undefined) this.#api.startAt(handle, startAt);
		if (endAt !== undefined) this.#api.endAt(handle, endAt);
		this.#api.grant(handle, credit.frames, credit.bytes);
	}

	#isOver(): boolean {
		return this.#state.type === "over";
	}

	#post(event: ReaderEvent): void {
		this.#port.postMessage(event);
	}

	/** Asks the core, if there is something to ask. */
	#steer(ask: (handle: Handle) => void): void {
		if (this.#state.type === "attached") ask(this.#state.pending.handle);
	}

	#handle(request: ReaderRequest): void {
		switch (request.type) {
			case "grant":
				this.#steer((handle) => this.#api.grant(handle, request.frames, request.bytes));
				return;
			case "want":
				this.#steer((handle) => this.#api.want(handle, request.gid));
				return;
			case "skip":
				this.#steer((handle) => this.#api.skip(handle, request.gid));
				return;
			case "update":
				this.recipe.prefs = request.prefs;
				this.#steer((handle) => this.#api.updateSubscription(handle, request.prefs));
				return;
			case "order":
				this.recipe.isByArrival = request.arrival;
				this.#steer((handle) => this.#api.setOrder(handle, request.arrival));
				return;
			case "datagrams":
				this.recipe.wantsDatagrams = true;
				this.#steer((handle) => this.#api.wantDatagrams(handle));
				return;
			case "startAt": {
				this.recipe.startAt = request.sequence;
				this.#steer((handle) => this.#api.startAt(handle, request.sequence));
				return;
			}
			case "endAt":
				if (request.sequence === undefined) delete this.recipe.endAt;
				else this.recipe.endAt = request.sequence;
				this.#steer((handle) => this.#api.endAt(handle, request.sequence));
				return;
			case "lost":
				this.#lost();
				return;
			case "resume": {
				void this.#resume(request.next, request);
				return;
			}
			default:
				request satisfies never;
		}
	}
}

/** One group that was fetched or found in the cache, and its port. */
export class GroupEntry {
	readonly type = "group";
	readonly recipe: { track: Id; sequence: number };
	readonly #api: CoreApi;
	readonly #port: MessagePort;
	readonly #handle: Handle;

	/** `handle` reads; `credit` was granted by the page along with the port. */
	constructor(
		api: CoreApi,
		handle: Handle,
		recipe: { track: Id; sequence: number },
		data: { port: MessagePort; credit: Window },
	) {
		this.#api = api;
		this.#handle = handle;
		this.recipe = recipe;
		this.#port = data.port;
		api.grant(handle, data.credit.frames, data.credit.bytes);
		serve(data.port, (request) => {
			// A group has no siblings to skip and no preferences.
			if (request.type === "grant") api.grant(handle, request.frames, request.bytes);
		});
	}

	/** Where the core puts the frames of such a group. */
	static sink(port: MessagePort): Sink {
		return portSink(port);
	}

	release(): void {
		this.#port.onmessage = null;
		this.#api.free(this.#handle);
		this.#port.close();
	}
}
