import { type ControlApi, type Id, isCommand } from "../../worker/protocol/control.ts";
import { CLOSE_DEADLINE_MS, MAX_PENDING_CALLS, MAX_QUEUED_CALLS } from "../../worker/protocol/limits.ts";
import { type ControlClient, controlClient } from "../../worker/rpc/comlink.ts";
import { errorFromUnknown, failure, type MoqError } from "../handle/error.ts";
import { CallQueue } from "./call-queue.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { WorkerSource } from "./spawn.ts";
import { Turn } from "./turn.ts";

/** Names of the calls that take one args object. */
type Call = {
	[Name in keyof ControlApi]: Parameters<ControlApi[Name]> extends [object] ? Name : never;
}[keyof ControlApi];
/** Calls that end by themselves, so further ones may wait for their turn: with the argument that names each, and the one it needs. */
const ASKS: { [Name in Call]?: readonly [id: keyof CallArgs<Name>, uses: keyof CallArgs<Name>] } = {
	requestBroadcast: ["broadcast", "origin"],
	trackInfo: ["operation", "track"],
	trackLatest: ["operation", "track"],
	subscribe: ["subscription", "track"],
	fetchGroup: ["group", "track"],
};
/** Calls that may wait for ever: one behind them would as well, without a word, so further ones are refused. */
const WATCHES: ReadonlySet<string> = new Set<Call>([
	"waitForBroadcast",
	"broadcastClosed",
	"requestUnused",
	"requestSubscription",
]);
/** What others wait for, and letting go: refused for their number these would make calls wait for ever. */
const UNCOUNTED = /^(next|reject|accept|close)/;
/** What a call is given. */
export type CallArgs<Name extends Call> = Parameters<ControlApi[Name]>[0];
/** What a call answers. */
export type CallResult<Name extends keyof ControlApi> = Awaited<ReturnType<ControlApi[Name]>>;

/** Where the outcome of a call goes; exactly one of the two is called, once. Without `resolve` only a failure is of interest. */
export interface Outcome<T> {
	resolve?(value: T): void;
	reject(error: MoqError): void;
}

/** Someone who has to be told when the worker is gone. */
export interface Mourner {
	fail(error: MoqError): void;
}

/**
 * The page's end of one worker: control calls, the table of what waits for an answer, and the news of its death.
 *
 * Nothing in a browser rejects by itself when a worker dies, so everything that could wait registers here, and
 * {@link Link.die} ends it all with one error.
 */
export class Link {
	/** Where the worker came from: a further one of the same build is started the same way. */
	readonly source: WorkerSource | undefined;
	readonly #port: MessagePort;
	readonly #client: ControlClient;
	readonly #turn: Turn;
	readonly #terminate: () => void;
	readonly #pending = new Set<Outcome<never>>();
	readonly #queue = new CallQueue();
	/** Outcomes of calls that may wait for ever, and of those that the worker answers in its next turn. */
	readonly #watches = new Set<Outcome<never>>();
	readonly #commands = new Set<Outcome<never>>();
	readonly #mourners = new Set<Mourner>();
	readonly #heartbeat: Heartbeat;
	#nextId = 1;
	#dead: MoqError | undefined;

	/** `control` is served by the worker's host; `terminate` ends the worker for good. */
	constructor(control: MessagePort, terminate: () => void, source?: WorkerSource) {
		this.source = source;
		this.#port = control;
		this.#client = controlClient(control);
		this.#turn = new Turn((calls) => this.#client.batch({ calls }));
		this.#terminate = terminate;
		control.addEventListener("messageerror", () =>
			this.die(failure("worker-crashed", "an answer of the worker could not be read")),
		);
		this.#heartbeat = new Heartbeat({
			ping: () => this.#client.ping(),
			isNeeded: () => this.#pending.size > 0 || this.#mourners.size > 0,
			dead: (error) => this.die(error),
		});
	}

	/** Why nothing works any more, once it does not. */
	get dead(): MoqError | undefined {
		return this.#dead;
	}

	/** Handles of the page that have not ended, and calls without an answer. */
	get live(): { handles: number; calls: number } {
		return { handles: this.#mourners.size, calls: this.#pending.size };
	}

	/** An id for the worker's table; never given out twice. */
	mint(): Id {
		return this.#nextId++;
	}

	/**
	 * Make a call. With a dead worker or too many calls under way, `reject` runs before this returns. A command leaves at the end of the
	 * turn, or before the next call that is none; `complete` may finish its arguments then.
	 */
	call<Name extends Call>(
		name: Name,
		args: CallArgs<Name>,
		outcome: Outcome<CallResult<Name>>,
		complete?: () => void,
	): void {
		const start = (): Promise<CallResult<Name>> => {
			if (isCommand(name)) return this.#turn.add(name, args, complete) as Promise<CallResult<Name>>;
			this.#turn.flush();
			const method = this.#client[name] as unknown as (args: CallArgs<Name>) => Promise<CallResult<Name>>;
			return method(args);
		};
		const ask = ASKS[name];
		if (ask) this.#ask({ id: args[ask[0]] as Id, uses: args[ask[1]] as Id }, start, outcome);
		else if (WATCHES.has(name)) this.#track(start, outcome, this.#watches, MAX_PENDING_CALLS);
		else this.#track(start, outcome, this.#commands, UNCOUNTED.test(name) ? Infinity : MAX_QUEUED_CALLS);
	}

	/** {@link Link.call} as a promise, for whoever handles the rejection. */
	ask<Name extends Call>(name: Name, args: CallArgs<Name>): Promise<CallResult<Name>> {
		return new Promise((resolve, reject) => this.call(name, args, { resolve, reject }));
	}

	/** Live objects of the worker. */
	stats(outcome: Outcome<CallResult<"stats">>): void {
		const start = () => {
			this.#turn.flush();
			return this.#client.stats();
		};
		this.#track(start, outcome, this.#commands, MAX_QUEUED_CALLS);
	}

	/** A call whose answer interests nobody: letting go. */
	tell(name: "cancel" | "free", id: Id): void {
		if (this.#dead) return;
		// A refusal means that the worker let go first, which is what was wanted.
		this.#queue.release(id, () => this.#turn.add(name, { id }).catch(() => undefined));
	}

	/** Tell `mourner` when the worker dies: at once if it has. */
	join(mourner: Mourner): void {
		if (this.#dead) {
			mourner.fail(this.#dead);
			return;
		}
		this.#mourners.add(mourner);
		this.#heartbeat.wake();
	}

	/** The opposite of {@link Link.join}. */
	leave(mourner: Mourner): void {
		this.#mourners.delete(mourner);
	}

	/** Something came from the worker, so it lives. */
	heard(): void {
		this.#heartbeat.heard();
	}

	/** End everything that waits with `error`, and the worker itself. The first call wins. */
	die(error: MoqError): void {
		if (!this.#bury(error)) return;
		this.#port.close();
		this.#terminate();
	}

	/** Like {@link Link.die}, but the worker gets a moment to tell its peers. Resolves when it is gone. */
	async close(error: MoqError): Promise<void> {
		const farewell = this.#dead ? undefined : this.#shutdown();
		if (!this.#bury(error)) return;
		let timer: ReturnType<typeof setTimeout> | undefined;
		const deadline = new Promise<void>((resolve) => {
			timer = setTimeout(resolve, CLOSE_DEADLINE_MS);
		});
		// Whether the worker managed or not, the next step is the same.
		await Promise.race([farewell?.catch(() => undefined), deadline]);
		clearTimeout(timer);
		this.#port.close();
		this.#terminate();
	}

	#shutdown(): Promise<void> {
		this.#turn.flush();
		return this.#client.shutdown();
	}

	/** A call in the queue. */
	#ask<T>(ids: { id: Id; uses: Id }, start: () => Promise<T>, outcome: Outcome<T>): void {
		if (!this.#admit(outcome)) return;
		const entry: Outcome<never> = outcome;
		const ask = {
			...ids,
			send: () => this.#send(start, outcome, () => this.#queue.answered()),
			withdrawn: () => {
				if (this.#pending.delete(entry)) outcome.reject(failure("cancelled", "withdrawn before it was sent"));
			},
		};
		this.#pending.add(entry);
		if (this.#queue.add(ask)) return;
		this.#pending.delete(entry);
		const message = `${MAX_QUEUED_CALLS} calls wait for their turn: await some of them first`;
		outcome.reject(failure("too-many-pending", message));
	}

	/** A call at once, one of `among`, of which there may be `limit`. */
	#track<T>(start: () => Promise<T>, outcome: Outcome<T>, among: Set<Outcome<never>>, limit: number): void {
		if (!this.#admit(outcome)) return;
		if (among.size >= limit) {
			const message = `${limit} calls are waiting for this worker: await or cancel some of them first`;
			outcome.reject(failure("too-many-pending", message));
			return;
		}
		const entry: Outcome<never> = outcome;
		this.#pending.add(entry);
		among.add(entry);
		this.#send(start, outcome, () => among.delete(entry));
	}

	/** False: the worker is dead, which `outcome` was told. */
	#admit<T>(outcome: Outcome<T>): boolean {
		if (this.#dead) outcome.reject(this.#dead);
		return this.#dead === undefined;
	}

	#send<T>(start: () => Promise<T>, outcome: Outcome<T>, answered: () => void): void {
		const entry: Outcome<never> = outcome;
		this.#heartbeat.wake();
		start().then(
			(value) => {
				this.heard();
				answered();
				if (this.#pending.delete(entry)) outcome.resolve?.(value);
			},
			(error: unknown) => {
				answered();
				if (this.#pending.delete(entry)) outcome.reject(errorFromUnknown(error));
			},
		);
	}

	#bury(error: MoqError): boolean {
		if (this.#dead) return false;
		this.#dead = error;
		this.#heartbeat.stop();
		const outcomes = [...this.#pending];
		const mourners = [...this.#mourners];
		this.#pending.clear();
		this.#queue.clear();
		this.#mourners.clear();
		for (const outcome of outcomes) outcome.reject(error);
		for (const mourner of mourners) mourner.fail(error);
		return true;
	}
}
