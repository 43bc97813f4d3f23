import type { CoreApi, Handle, Operation } from "../core/api.ts";
import { listen, writerRequest } from "../door/ports.ts";
import { check } from "../door/schema.ts";
import { writeStep } from "../door/values.ts";
import { asErrorData } from "../failure.ts";
import type { Id } from "../protocol/control.ts";
import type { ErrorData } from "../protocol/error.ts";
import type { Rejection, TrackInfoData } from "../protocol/model.ts";
import type { WriterEvent, WriteStep } from "../protocol/port.ts";
import { GroupSteps } from "./group-steps.ts";

/** How a track of the page's own came about: made in a broadcast, or asked for. */
export type TrackRecipe = { info: TrackInfoData } & ({ broadcast: Id; name: string } | { request: Id });

/** A track the page writes, and the port on which it does. */
export class PublishedTrack {
	readonly type = "published-track";
	readonly core: Handle;
	readonly recipe: TrackRecipe;
	readonly #api: CoreApi;
	readonly #port: MessagePort;
	readonly #steps: GroupSteps;
	/** Operations that watch the readers; withdrawn in the end. */
	readonly #watches = new Map<"subscription" | "used", Operation<unknown>>();
	#isOver = false;
	#grace: Handle | undefined;

	/** With a handle for `grace`, groups can be asked for, and wait, until the page has begun to write. */
	constructor(api: CoreApi, core: Handle, recipe: TrackRecipe, port: MessagePort, grace?: Handle) {
		this.#api = api;
		this.#grace = grace;
		this.recipe = recipe;
		this.#port = port;
		this.core = core;
		this.#steps = new GroupSteps(api, port);
		const refuse = (error: ErrorData) => this.#post({ type: "end", error });
		listen(port, writerRequest, ({ steps }) => this.write(steps), refuse);
		this.#watchSubscription();
		this.#watchUsed(true);
	}

	/** Take the next steps of the page. One that is malformed ends its group, or the track if it belongs to none. */
	write(steps: unknown[]): void {
		for (const step of steps) {
			try {
				this.#step(check(writeStep, step, "step"));
			} catch (error) {
				this.#refuse(step, asErrorData(error));
			}
		}
		this.#steps.grant();
	}

	release(): void {
		this.#isOver = true;
		this.#endGrace();
		this.#port.onmessage = null;
		for (const watch of this.#watches.values()) watch.cancel();
		this.#steps.release();
		this.#api.free(this.core);
		this.#port.close();
	}

	#refuse(step: unknown, error: ErrorData): void {
		const group = (step as { group?: unknown } | null)?.group;
		if (typeof group === "number") this.#steps.refuse(group, error);
		else this.#post({ type: "end", error });
	}

	#post(event: WriterEvent): void {
		this.#port.postMessage(event);
	}

	#endGrace(): void {
		if (this.#grace !== undefined) this.#api.free(this.#grace);
		this.#grace = undefined;
	}

	#step(step: WriteStep): void {
		switch (step.type) {
			case "group":
				this.#steps.begin(step.group, () => this.#api.createGroup(this.core, step.sequence).handle);
				return;
			case "frame":
			case "frameStart":
			case "chunk":
			case "frameAbort":
			case "groupEnd":
			case "groupAbort":
				this.#steps.take(step);
				return;
			case "datagram":
				this.#datagram(step);
				return;
			case "begun":
				// A handler that was made in that turn comes on another port.
				setTimeout(() => this.#endGrace());
				return;
			case "finish":
				this.#end(() => this.#api.finishTrack(this.core));
				return;
			case "finishAt":
				this.#end(() => this.#api.finishTrackAt(this.core, step.sequence));
				return;
			case "abort":
				this.#end(() => this.#abort(step.error));
				return;
			default:
				step satisfies never;
		}
	}

	#datagram(step: Extract<WriteStep, { type: "datagram" }>): void {
		try {
			this.#steps.took(step.data);
			this.#api.writeDatagram(this.core, step.sequence, step.data, step.timestamp);
		} catch (error) {
			// Number 0 is no group: the page hears what was wrong, and nothing of it ends.
			this.#post({ type: "groupError", group: 0, error: asErrorData(error) });
		}
	}

	/** Steps that were to end its groups did not leave the page any more. */
	#abort(error: Rejection): void {
		this.#steps.abort(error);
		this.#api.abortTrack(this.core, error);
	}

	#end(act: () => void): void {
		try {
			act();
			this.#post({ type: "end" });
		} catch (error) {
			this.#post({ type: "end", error: asErrorData(error) });
		}
	}

	#watchSubscription(): void {
		this.#watch("subscription", this.#api.subscriptionChanged(this.core), (subscription) => {
			this.#post({ type: "subscription", subscription });
			this.#watchSubscription();
		});
	}

	#watchUsed(isUsed: boolean): void {
		const change = isUsed ? this.#api.trackUsed(this.core) : this.#api.trackUnused(this.core);
		this.#watch("used", change, () => {
			this.#post({ type: "used", used: isUsed });
			this.#watchUsed(!isUsed);
		});
	}

	/** Runs until the track ends; its end is told by whoever ended it. */
	#watch<T>(name: "subscription" | "used", operation: Operation<T>, report: (value: T) => void): void {
		this.#watches.set(name, operation);
		operation.result.then(
			(value) => {
				if (!this.#isOver) report(value);
			},
			() => this.#watches.delete(name),
		);
	}
}
