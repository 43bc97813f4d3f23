import type { Id } from "../../worker/protocol/control.ts";
import type { CallArgs, CallResult, Link, Mourner } from "../link/link.ts";
import { closed, closeWhenCollected } from "./collected.ts";
import { Ending } from "./ending.ts";
import { type MoqError, usage } from "./error.ts";
import { Pending, type WaitOptions } from "./pending.ts";

type Call = Parameters<Link["call"]>[0];

/** Handles by the object the user holds, so that one can be passed to a call of another. */
const anchors = new WeakMap<object, Anchor>();

/**
 * What is behind every handle of the page: its id in the worker, whether it still works, and why not.
 *
 * It ends once, by `close()` of the user, by the worker's refusal or news, or with the worker. The user's object points
 * here and never the reverse, so that an object nobody holds can be collected and its id freed.
 */
export class Anchor implements Mourner {
	readonly link: Link;
	readonly id: Id;
	readonly #noun: string;
	readonly #ending = new Ending();
	/** Calls that wait for an answer, to be told of the end; each keeps the user's object, which must not end by being collected. */
	readonly #waits = new Map<(error: MoqError) => void, object | undefined>();
	#owner: WeakRef<object> | undefined;
	/** Handles that end with this one. */
	readonly #bound = new Set<Anchor>();
	#boundTo: Set<Anchor> | undefined;
	#onEnd: ((error: MoqError | undefined) => void) | undefined;

	/** `noun` names the handle in errors. */
	constructor(link: Link, noun: string, id: Id = link.mint()) {
		this.link = link;
		this.id = id;
		this.#noun = noun;
		link.join(this);
	}

	/** Make `owner` known to {@link anchorOf}; `leak` is what a collected, unclosed owner costs, if worth a warning. */
	hold(owner: object, leak?: string): void {
		anchors.set(owner, this);
		this.#owner = new WeakRef(owner);
		closeWhenCollected(owner, this, leak);
	}

	/** Run once when the handle ends, before `closed` settles. */
	onEnd(end: (error: MoqError | undefined) => void): void {
		this.#onEnd = end;
		if (this.#ending.error) end(this.#ending.error);
	}

	/** Resolves when the handle was closed or came to its natural end, rejects with what else ended it. */
	get closed(): Promise<void> {
		return this.#ending.closed;
	}

	get isLive(): boolean {
		return this.#ending.isLive;
	}

	/** @throws why the handle no longer works. */
	check(): void {
		this.#ending.check(this.#closed);
	}

	/** Let go of it: by the user, or because it came to its natural end. Later calls do nothing. */
	close(): void {
		if (this.#end(undefined)) this.link.tell("free", this.id);
	}

	/** Let go of what may not exist yet. */
	withdraw(): void {
		if (this.#end(undefined)) this.link.tell("cancel", this.id);
	}

	/** It was refused, or ended by the other side. */
	fail(error: MoqError): void {
		if (this.#end(error)) this.link.tell("free", this.id);
	}

	/** Make the object in the worker; a refusal ends this handle with it. `complete` is as of {@link Link.call}. */
	make<Name extends Call>(name: Name, args: CallArgs<Name>, complete?: () => void): void {
		this.link.call(name, args, { reject: (error) => this.fail(error) }, complete);
	}

	/** A handle of its own that is made in the worker from this one; `args` gets its id. */
	derive<Name extends Call>(noun: string, name: Name, args: (id: Id) => CallArgs<Name>): Anchor {
		this.check();
		const anchor = new Anchor(this.link, noun);
		anchor.make(name, args(anchor.id));
		return anchor;
	}

	/** `anchor` ends with this one, and in the same way. */
	bind(anchor: Anchor): Anchor {
		this.#bound.add(anchor);
		anchor.#boundTo = this.#bound;
		return anchor;
	}

	/**
	 * A call that waits. `args` gets an id, which is withdrawn when the caller no longer wants the answer or this ends; `map` turns
	 * the answer into what the caller gets, once, when that is something else.
	 */
	wait<Name extends Call, T = CallResult<Name>>(
		name: Name,
		args: (id: Id) => CallArgs<Name>,
		options: WaitOptions | undefined,
		map = (result: CallResult<Name>, _id: Id) => result as T,
	): Pending<T> {
		return new Pending((resolve, reject) => {
			this.check();
			const { link } = this;
			const id = link.mint();
			const call = args(id);
			const withdraw = () => {
				this.#waits.delete(fail);
				link.tell("cancel", id);
			};
			const fail = (error: MoqError) => {
				withdraw();
				reject(error);
			};
			this.#waits.set(fail, this.#owner?.deref());
			link.call(name, call, {
				// An answer that crossed the withdrawal names something the worker has let go of.
				resolve: (result) => this.#waits.delete(fail) && resolve(map(result, id)),
				reject: (error) => {
					this.#waits.delete(fail);
					reject(error);
				},
			});
			return withdraw;
		}, options);
	}

	get #closed(): string {
		return `the ${this.#noun} was closed`;
	}

	#end(error: MoqError | undefined): boolean {
		if (!this.#ending.end(error)) return false;
		this.link.leave(this);
		closed(this);
		this.#boundTo?.delete(this);
		for (const fail of [...this.#waits.keys()]) fail(this.#ending.reason(this.#closed));
		for (const anchor of this.#bound) {
			if (error) anchor.fail(error);
			else anchor.close();
		}
		this.#onEnd?.(error);
		this.#ending.tell();
		return true;
	}
}

/** The anchor of a handle given by the user as `argument`, to a call by way of `link`: ids mean nothing to another worker. */
export function anchorOf(owner: unknown, argument: string, link?: Link): Anchor {
	const anchor = typeof owner === "object" && owner !== null ? anchors.get(owner) : undefined;
	if (!anchor) throw usage(`${argument} is not a handle of this library`);
	if (link && anchor.link !== link) throw usage(`${argument} belongs to another runtime`);
	anchor.check();
	return anchor;
}

/** What `owner` belongs to failed, and `owner` with it. */
export function failWith(owner: object, error: MoqError): void {
	anchors.get(owner)?.fail(error);
}
