import type { CoreApi, Handle } from "../core/api.ts";
import type { Id } from "../protocol/control.ts";
import type { WriterEvent, WriterRequest } from "../protocol/port.ts";
import { GroupSteps } from "./group-steps.ts";

/** The page's number of the one group on such a port. */
const GROUP = 1;

/** One group that was asked for, written by the page on a port of its own. */
export class PublishedGroup {
	readonly type = "published-group";
	readonly recipe: { request: Id };
	readonly #port: MessagePort;
	readonly #steps: GroupSteps;

	constructor(api: CoreApi, group: Handle, recipe: { request: Id }, port: MessagePort) {
		this.recipe = recipe;
		this.#port = port;
		this.#steps = new GroupSteps(api, port);
		this.#steps.begin(GROUP, () => group);
		port.onmessage = ({ data }: MessageEvent<Partial<WriterRequest> | null>) => {
			if (data?.type !== "write" || !Array.isArray(data.steps)) return;
			for (const step of data.steps) if ("group" in step && step.type !== "group") this.#steps.take(step);
			this.#steps.grant();
			if (this.#steps.size === 0) port.postMessage({ type: "end" } satisfies WriterEvent);
		};
	}

	release(): void {
		this.#port.onmessage = null;
		this.#steps.release();
		this.#port.close();
	}
}
