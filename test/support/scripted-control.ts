import { makeRuntime, type Runtime } from "../../src/connect/runtime.ts";
import { ClosedError } from "../../src/handle/error.ts";
import { Link } from "../../src/link/link.ts";
import { type BatchedCall, CONTROL_METHODS, type ControlApi, type Refusal } from "../../worker/protocol/control.ts";
import { serveControl } from "../../worker/rpc/comlink.ts";

/** One call the page made, to be answered by the test. */
export interface ScriptedCall<Args = Record<string, unknown>> {
	name: string;
	args: Args;
	resolve(value?: unknown): void;
	reject(error: unknown): void;
}

/** A page over a real port whose other end is driven by the test. */
export class ScriptedPage {
	readonly link: Link;
	readonly runtime: Runtime;
	/** Every call so far, oldest first. */
	readonly calls: ScriptedCall[] = [];
	/** How many messages brought commands. */
	batches = 0;
	isTerminated = false;
	/** Calls of these names are answered with undefined at once. */
	readonly automatic = new Set(["ping", "cancel", "free", "createOrigin", "createBroadcast", "createTrack", "track"]);
	readonly #waiting: { name: string; resolve: (call: ScriptedCall) => void }[] = [];
	readonly #taken = new Set<ScriptedCall>();
	readonly #worker: MessagePort;

	constructor() {
		const { port1, port2 } = new MessageChannel();
		this.#worker = port2;
		const api: Record<string, (args: Record<string, unknown>) => Promise<unknown>> = {};
		for (const name of Object.keys(CONTROL_METHODS)) api[name] = (args) => this.#called(name, args);
		api.batch = ({ calls }) => this.#batch(calls as BatchedCall[]);
		serveControl(api as unknown as ControlApi, port2);
		this.link = new Link(port1, () => {
			this.isTerminated = true;
		});
		this.runtime = makeRuntime(this.link);
	}

	/** The oldest call of that name nobody took yet, or the next one. */
	next<Args = Record<string, never>>(name: string): Promise<ScriptedCall<Args>> {
		const call = this.calls.find((candidate) => candidate.name === name && !this.#taken.has(candidate));
		if (call) {
			this.#taken.add(call);
			return Promise.resolve(call as unknown as ScriptedCall<Args>);
		}
		return new Promise((resolve) => {
			this.#waiting.push({ name, resolve: (next) => resolve(next as unknown as ScriptedCall<Args>) });
		});
	}

	/** How often a call was made so far. */
	count(name: string): number {
		return this.calls.filter((call) => call.name === name).length;
	}

	close(): void {
		this.#worker.close();
		this.link.die(new ClosedError({ kind: "closed", message: "the test is over" }));
	}

	async #batch(calls: BatchedCall[]): Promise<Refusal[]> {
		this.batches++;
		const answers = calls.map(({ name, args }) => this.#called(name, args as Record<string, unknown>));
		const outcomes = await Promise.allSettled(answers);
		return outcomes.flatMap((outcome, at) => (outcome.status === "rejected" ? [{ at, error: outcome.reason }] : []));
	}

	#called(name: string, args: Record<string, unknown>): Promise<unknown> {
		return new Promise((resolve, reject) => {
			const call: ScriptedCall = { name, args, resolve, reject };
			this.calls.push(call);
			const at = this.#waiting.findIndex((waiter) => waiter.name === name);
			if (at >= 0) {
				this.#taken.add(call);
				this.#waiting.splice(at, 1)[0]?.resolve(call);
			} else if (this.automatic.has(name)) resolve(undefined);
		});
	}
}

/** The next message on a port that nothing else listens to. */
function nextMessage<T>(port: MessagePort): Promise<T> {
	return new Promise((resolve) => {
		port.onmessage = ({ data }: MessageEvent<T>) => {
			port.onmessage = null;
			resolve(data);
		};
	});
}

/** Everything a port receives, and a way to wait for it. */
export class Inbox<T> {
	readonly messages: T[] = [];
	readonly #waiting: { pick: (message: T) => boolean; resolve: (message: T) => void }[] = [];

	constructor(port: MessagePort) {
		port.onmessage = ({ data }: MessageEvent<T>) => {
			this.messages.push(data);
			const at = this.#waiting.findIndex(({ pick }) => pick(data));
			if (at >= 0) this.#waiting.splice(at, 1)[0]?.resolve(data);
		};
	}

	/** The first message so far that `pick` accepts, or the next one. */
	find(pick: (message: T) => boolean): Promise<T> {
		const found = this.messages.find(pick);
		if (found !== undefined) return Promise.resolve(found);
		return new Promise((resolve) => this.#waiting.push({ pick, resolve }));
	}
}

/** Lets every message that was posted before arrive: ports of one thread deliver in the order of posting. */
export async function settled(): Promise<void> {
	for (let turn = 0; turn < 3; turn++) {
		const { port1, port2 } = new MessageChannel();
		const arrived = nextMessage(port2);
		port1.postMessage(0);
		await arrived;
		port1.close();
	}
}
