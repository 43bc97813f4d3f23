import type { RequestData } from "../../worker/protocol/model.ts";
import { Anchor } from "../handle/anchor.ts";
import { MoqError, usage } from "../handle/error.ts";
import { Handle, type Held } from "../handle/handle.ts";
import { iteration, step } from "../handle/iteration.ts";
import type { Pending, WaitOptions } from "../handle/pending.ts";
import { Question } from "../handle/question.ts";
import type { CallArgs } from "../link/link.ts";

/** Answers requests, one call each, several at a time. A request that it leaves unanswered, or throws at, is rejected. */
export type DynamicHandler<Request> = (request: Request) => unknown;

/** Where a {@link Dynamic} gets its requests from; made by the library. */
export interface RequestSource<Request> extends Held {
	/** Whether `close` was called. */
	readonly isClosed: boolean;
	/** As {@link Dynamic.next}. */
	next(options?: WaitOptions): Pending<Request>;
	/** Closed when this is collected. */
	hold(owner: object): void;
}

/**
 * Serves what somebody asks for and nobody has. Iterate it, or call {@link Dynamic.next}; each request goes to one who asks.
 *
 * With a handler it serves until it is closed; otherwise somebody has to take the requests, or those who wait wait on. Requests that
 * were given out can still be answered after that.
 */
export abstract class Dynamic<Request> extends Handle {
	readonly #source: RequestSource<Request>;

	/** Made by the calls named `dynamic`. */
	protected constructor(source: RequestSource<Request>) {
		super(source);
		this.#source = source;
		source.hold(this);
	}

	/** The next request, oldest first. Rejects with a DroppedError, or the cause, when what it serves is gone. */
	next(options?: WaitOptions): Pending<Request> {
		return this.#source.next(options);
	}

	/** Request by request. Leaving the loop closes it. */
	[Symbol.asyncIterator](): AsyncIterableIterator<Request, undefined> {
		const next = async () => {
			try {
				return step(await this.next());
			} catch (error) {
				if (this.#source.isClosed) return step<Request>(undefined);
				throw error;
			}
		};
		return iteration(next, () => this.close());
	}
}

/** Requests for the handler that `args` describes; `make` turns each into what the user gets. Unless it is not bound, it ends with `of`. */
export function requestSource<Data extends RequestData, Request>(
	of: Anchor,
	args: Omit<CallArgs<"dynamic">, "dynamic" | "of">,
	make: (question: Question<Data>) => Request,
	handler: DynamicHandler<Request> | undefined,
	isBound = true,
): RequestSource<Request> {
	if (handler !== undefined && typeof handler !== "function") throw usage("the handler must be a function");
	const anchor = of.derive("handler", "dynamic", (dynamic) => ({ ...args, dynamic, of: of.id }));
	if (isBound) of.bind(anchor);
	const ask = <R>(map: (question: Question<Data>) => R, options?: WaitOptions): Pending<R> =>
		anchor.wait(
			"nextRequest",
			(request) => ({ request, dynamic: anchor.id }),
			options,
			(data, id) => map(new Question(new Anchor(anchor.link, "request", id), data as Data)),
		);
	// Unless it was closed, what it served is gone.
	if (handler) serve(() => ask((question) => question), make, handler).catch((error) => anchor.fail(error));
	return {
		get closed() {
			return anchor.closed;
		},
		get isClosed() {
			return !anchor.isLive;
		},
		next: (options) => ask(make, options),
		close: () => anchor.close(),
		// Nobody needs to hold one that serves by itself.
		hold: (owner) => handler || anchor.hold(owner, "a handler was collected without close(): it served nobody"),
	};
}

async function serve<Data extends RequestData, Request>(
	ask: () => Pending<Question<Data>>,
	make: (question: Question<Data>) => Request,
	handler: DynamicHandler<Request>,
): Promise<never> {
	for (;;) {
		const question = await ask();
		void answer(question, make(question), handler);
	}
}

async function answer<Request>(question: Question, request: Request, handler: DynamicHandler<Request>): Promise<void> {
	try {
		await handler(request);
	} catch (error) {
		question.fail(error);
		// A mistake in the handler is shown as one in an event listener is.
		if (!(error instanceof MoqError)) reportError(error);
	}
	// Rejects it if there was no answer.
	question.anchor.close();
}
