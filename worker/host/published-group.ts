import type { CoreApi, Handle } from "../core/api.ts";
import { listen, writerRequest } from "../door/ports.ts";
import { check } from "../door/schema.ts";
import { writeStep } from "../door/values.ts";
import { failure } from "../failure.ts";
import type { Id } from "../protocol/control.ts";
import type { ErrorData } from "../protocol/error.ts";
import type { WriterEvent } from "../protocol/port.ts";
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
		const refuse = (error: ErrorData) => this.#steps.refuse(GROUP, error);
		listen(port, writerRequest, ({ steps }) => this.#write(steps), refuse);
	}

	#write(steps: unknown[]): void {
		for (const one of steps) {
			const step = check(writeStep, one, "step");
			if (!("group" in step) || step.type === "group") throw failure("usage", `${step.type} is no step inside a group`);
			this.#steps.take(step);
		}
		this.#steps.grant();
		if (this.#steps.size === 0) this.#port.postMessage({ type: "end" } satisfies WriterEvent);
	}

	release(): void {
		this.#port.onmessage = null;
		this.#steps.release();
		this.#port.close();
	}
}
