import type { CoreApi, Handle, Operation } from "../core/api.ts";
import { asErrorData, failure } from "../failure.ts";
import type { Id } from "../protocol/control.ts";
import { WRITE_WINDOW } from "../protocol/limits.ts";
import type { TrackInfoData } from "../protocol/model.ts";
import type { WriterEvent, WriterRequest, WriteStep } from "../protocol/port.ts";
import { whole } from "./check.ts";

/** A track the page writes, and the port on which it does. */
export class PublishedTrack {
	readonly type = "published-track";
	readonly core: Handle;
	readonly recipe: { broadcast: Id; name: string; info: TrackInfoData };
	readonly #api: CoreApi;
	readonly #port: MessagePort;
	readonly #groups = new Map<number, Handle>();
	/** Operations that watch the readers; withdrawn in the end. */
	readonly #watches = new Map<"subscription" | "used", Operation<unknown>>();
	#isOver = false;
	/** Taken from the page and not granted again yet. */
	#frames = 0;
	#bytes = 0;

	constructor(
		api: CoreApi,
		broadcast: Handle,
		recipe: { broadcast: Id; name: string; info: TrackInfoData },
		port: MessagePort,
	) {
		this.#api = api;
		this.recipe = recipe;
		this.#port = port;
		this.core = api.createTrack(broadcast, recipe.name, recipe.info);
		port.onmessage = ({ data }: MessageEvent<Partial<WriterRequest> | null>) => {
			if (data?.type === "write" && Array.isArray(data.steps)) this.#write(data.steps);
		};
		this.#watchSubscription();
		this.#watchUsed(true);
	}

	release(): void {
		this.#isOver = true;
		this.#port.onmessage = null;
		for (const watch of this.#watches.values()) watch.cancel();
		for (const group of this.#groups.values()) this.#api.free(group);
		this.#groups.clear();
		this.#api.free(this.core);
		this.#port.close();
	}

	#post(event: WriterEvent): void {
		this.#port.postMessage(event);
	}

	#write(steps: WriteStep[]): void {
		for (const step of steps) this.#step(step);
		// Half a window at a time: a grant for every frame would wake the page for every frame.
		if (this.#frames * 2 < WRITE_WINDOW.frames && this.#bytes * 2 < WRITE_WINDOW.bytes) return;
		this.#post({ type: "grant", frames: this.#frames, bytes: this.#bytes });
		this.#frames = 0;
		this.#bytes = 0;
	}

	#step(step: WriteStep): void {
		switch (step.type) {
			case "group":
			case "frame":
			case "groupEnd":
			case "groupAbort":
				this.#groupStep(step);
				return;
			case "finish":
				this.#end(() => this.#api.finishTrack(this.core));
				return;
			case "finishAt":
				this.#end(() => this.#api.finishTrackAt(this.core, whole("sequence", step.sequence)));
				return;
			case "abort":
				this.#end(() => this.#api.abortTrack(this.core, whole("code", step.code)));
				return;
			default:
				step satisfies never;
		}
	}

	#groupStep(step: Extract<WriteStep, { group: number }>): void {
		try {
			if (step.type === "group") {
				if (this.#groups.has(step.group)) throw failure("usage", `group number ${step.group} is in use`);
				const { handle } = this.#api.createGroup(this.core, whole("sequence", step.sequence));
				this.#groups.set(step.group, handle);
				return;
			}
			if (step.type === "frame") this.#took(step.data);
			const group = this.#groups.get(step.group);
			// It was refused, and the page was told.
			if (group === undefined) return;
			if (step.type === "frame") {
				this.#api.writeFrame(group, step.data, step.timestamp);
				return;
			}
			this.#groups.delete(step.group);
			if (step.type === "groupEnd") this.#api.finishGroup(group);
			else this.#api.abortGroup(group, whole("code", step.code));
		} catch (error) {
			this.#refuse(step.group, asErrorData(error));
		}
	}

	/** A step failed: the group is over for the page, and given up for its readers. */
	#refuse(group: number, error: ReturnType<typeof asErrorData>): void {
		const handle = this.#groups.get(group);
		this.#groups.delete(group);
		if (handle !== undefined) this.#api.free(handle);
		this.#post({ type: "groupError", group, error });
	}

	#took(data: Uint8Array): void {
		if (!(data instanceof Uint8Array)) throw failure("usage", "a frame must be bytes");
		this.#frames++;
		this.#bytes += data.byteLength;
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
