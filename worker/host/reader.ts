import type { CoreApi, Handle, PendingSubscription, Sink } from "../core/api.ts";
import { asErrorData } from "../failure.ts";
import type { Id } from "../protocol/control.ts";
import type { Window } from "../protocol/limits.ts";
import type { SubscriptionData, TrackInfoData } from "../protocol/model.ts";
import type { ReaderEvent, ReaderRequest } from "../protocol/port.ts";
import { record, whole } from "./check.ts";

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

/** Listen to the page. A malformed request ends the reader with an error: this port can harm nothing else. */
function serve(port: MessagePort, handle: (request: ReaderRequest) => void): void {
	port.onmessage = ({ data }: MessageEvent<unknown>) => {
		if (typeof data !== "object" || data === null) return;
		try {
			handle(data as ReaderRequest);
		} catch (error) {
			port.postMessage({ type: "end", error: asErrorData(error) } satisfies ReaderEvent);
		}
	};
}

/** One live subscription and its port. */
export class SubscriptionEntry {
	readonly type = "subscription";
	/** What to ask for when it has to be made again; kept up to date. */
	readonly recipe: { track: Id; prefs: SubscriptionData; startAt?: number; endAt?: number };
	readonly #api: CoreApi;
	readonly #port: MessagePort;
	readonly #pending: PendingSubscription;

	constructor(
		api: CoreApi,
		track: Handle,
		recipe: { track: Id; prefs: SubscriptionData },
		data: { port: MessagePort; credit: Window },
	) {
		this.#api = api;
		this.recipe = recipe;
		this.#port = data.port;
		const frames = whole("credit.frames", data.credit.frames);
		const bytes = whole("credit.bytes", data.credit.bytes);
		this.#pending = api.subscribe(track, recipe.prefs, portSink(data.port));
		api.grant(this.#pending.handle, frames, bytes);
		serve(data.port, (request) => this.#handle(request));
	}

	/** The track's properties, once the publisher confirmed. */
	get confirmed(): Promise<TrackInfoData> {
		return this.#pending.result;
	}

	release(): void {
		this.#port.onmessage = null;
		this.#api.free(this.#pending.handle);
		this.#port.close();
	}

	#handle(request: ReaderRequest): void {
		const { handle } = this.#pending;
		switch (request.type) {
			case "grant":
				this.#api.grant(handle, whole("frames", request.frames), whole("bytes", request.bytes));
				return;
			case "want":
				this.#api.want(handle, whole("gid", request.gid));
				return;
			case "skip":
				this.#api.skip(handle, whole("gid", request.gid));
				return;
			case "update":
				this.recipe.prefs = record("prefs", request.prefs);
				this.#api.updateSubscription(handle, request.prefs);
				return;
			case "order":
				this.#api.setOrder(handle, request.arrival === true);
				return;
			case "datagrams":
				this.#api.wantDatagrams(handle);
				return;
			case "startAt":
				this.recipe.startAt = whole("sequence", request.sequence);
				this.#api.startAt(handle, this.recipe.startAt);
				return;
			case "endAt":
				if (request.sequence === undefined) delete this.recipe.endAt;
				else this.recipe.endAt = whole("sequence", request.sequence);
				this.#api.endAt(handle, request.sequence);
				return;
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
		api.grant(handle, whole("credit.frames", data.credit.frames), whole("credit.bytes", data.credit.bytes));
		serve(data.port, (request) => {
			// A group has no siblings to skip and no preferences.
			if (request.type === "grant") api.grant(handle, whole("frames", request.frames), whole("bytes", request.bytes));
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
