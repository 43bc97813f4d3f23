import type { CoreApi } from "../../core/api.ts";
import { asErrorData, failure } from "../../failure.ts";
import type { DialData, Id } from "../../protocol/control.ts";
import type { ErrorData } from "../../protocol/error.ts";
import { CLOSE_DEADLINE_MS } from "../../protocol/limits.ts";
import type { SessionStatsData } from "../../protocol/model.ts";
import type { ConnectedData } from "../../protocol/port.ts";
import type { ProducerEntry } from "../broadcast.ts";
import { backOff, isFinal, mayTry } from "./back-off.ts";
import { isOutside } from "./claims.ts";
import { ASK_MS } from "./fate.ts";
import { PagePort } from "./page-port.ts";
import { redirected } from "./redirect.ts";
import { type Dial, type Origins, Session, type SessionEnd } from "./session.ts";
import { onAwake } from "./sleep.ts";
import { freshToken } from "./token.ts";

/** How long a session that was replaced may go on with what it carries: less than peers give it. */
const DRAIN_MS = 8_000;

/** So long after a session took the place of another, what came by the old one may end for that reason. */
const RETURNED_MS = DRAIN_MS + 2_000;

/** What the peer is told when the page is put aside. */
const AWAY = "the page was put aside";

/** Moves in a row that are followed, and how long a session has to last to begin a new row. */
const MAX_MOVES = 3;
const SETTLED_MS = 10_000;

/** What is needed to make a connection again. */
export interface ConnectionRecipe {
	dial: DialData;
	publish?: Id;
	consume?: Id;
}

type State =
	/** The first dial is under way. */
	| { type: "connecting"; controller: AbortController }
	| { type: "connected"; session: Session }
	/** The next session is being made. `end`: how this one has ended meanwhile. */
	| { type: "moving"; session: Session; controller: AbortController; end?: SessionEnd }
	/** There is no session, and the policy has another made. `hurry` cuts the wait before the next dial short. */
	| { type: "reconnecting"; controller: AbortController; hurry?: () => void }
	| { type: "over" };

/**
 * Two origins and the session that joins them to a peer. When the peer asks us to move, or time stood still here, the next session is
 * made first and takes the place of the old one, which goes on for a while with what it carries. When a session is lost, the policy says
 * when the next dial is.
 */
export class ConnectionEntry {
	readonly type = "connection";
	readonly recipe: ConnectionRecipe;
	readonly #api: CoreApi;
	readonly #dial: Dial;
	readonly #origins: Origins;
	readonly #port: PagePort;
	/** What the page has made to be announced. */
	readonly #producers: () => readonly ProducerEntry[];
	/** What the page was told of that the peer does not ask for. */
	readonly #unheard = new WeakSet<ProducerEntry>();
	/** What the page was told of that another publisher announces, too. */
	readonly #contested = new WeakSet<ProducerEntry>();
	/** Sessions that were replaced and are not over. */
	readonly #draining = new Map<Session, ReturnType<typeof setTimeout>>();
	/** Sessions whose peer has said that it goes away. */
	readonly #left = new WeakSet<Session>();
	readonly #stopWatching: () => void;
	/** When the last session took the place of another. */
	#replacedAt = Number.NEGATIVE_INFINITY;
	/** Moves in a row, each away from a session that had hardly begun. */
	#moves = 0;
	/** Dials in a row since a session last held for the time that the policy asks. */
	#attempts = 0;
	/** The page is put aside: there is no session until it is back. */
	#isAway = false;
	/** Sessions that were closed for that; the page may be back before they are over. */
	readonly #aside = new WeakSet<Session>();
	#state: State = { type: "connecting", controller: new AbortController() };

	constructor(
		api: CoreApi,
		{ recipe, port, dial, origins }: { recipe: ConnectionRecipe; port: MessagePort; dial: Dial; origins: Origins },
		producers: () => readonly ProducerEntry[],
	) {
		this.#api = api;
		this.recipe = recipe;
		this.#dial = dial;
		this.#origins = origins;
		this.#port = new PagePort(port, {
			hurry: () => this.#hurry(),
			leave: () => this.#leave(),
			refuse: (error) => this.#refuse(error),
		});
		this.#producers = producers;
		this.#stopWatching = onAwake(() => this.#awake());
	}

	/** Dial and agree on a version, within the deadline. Once. @throws ErrorData */
	async connect(): Promise<ConnectedData> {
		if (this.#state.type !== "connecting") throw failure("invalid-state", "the connection is not new");
		const { signal } = this.#state.controller;
		try {
			const session = await this.#establish(this.recipe.dial, signal);
			this.#adopt(session);
			return session.connected;
		} catch (error) {
			this.#finish();
			throw error;
		}
	}

	/** Whether a session was lost or replaced a short while ago, and another one is there or to come. */
	get isReturning(): boolean {
		const { type } = this.#state;
		if (type === "moving" || type === "reconnecting") return true;
		return type === "connected" && performance.now() - this.#replacedAt < RETURNED_MS;
	}

	/** @throws ErrorData when there is no session. */
	stats(): SessionStatsData {
		if ("session" in this.#state) return this.#state.session.stats;
		throw this.#state.type === "over"
			? failure("closed", "the connection is closed")
			: failure("transport", "the connection is being made again");
	}

	/** Tell the page, once for each, which of these the peer does not ask for, or has of another publisher. */
	tellFate(producers: readonly ProducerEntry[]): void {
		const session = this.#current;
		// What is offered by a session that has hardly begun is looked at later.
		if (session && session.ageMs >= ASK_MS) this.#tellFate(session, producers);
	}

	/** Whether its token rules out that this is read here. */
	cannotRead(path: string, isPrefix: boolean): boolean {
		const session = this.#current;
		return session !== undefined && isOutside(session.at.url, path, isPrefix);
	}

	/** Tell the page that it waits for what its token does not let it read. */
	tellUnreadable(path: string): void {
		this.#port.post({ type: "unreadable", path });
	}

	/** Tell the peer, and wait until it was told or a second has passed. It is over in any case. @throws ErrorData for a wrong code. */
	async close(code: number, reason: string): Promise<void> {
		let timer: ReturnType<typeof setTimeout> | undefined;
		try {
			const session = this.#current;
			if (!session) return;
			session.close(code, reason);
			const deadline = new Promise<void>((resolve) => {
				timer = setTimeout(resolve, CLOSE_DEADLINE_MS);
			});
			await Promise.race([session.ended, deadline]);
		} finally {
			clearTimeout(timer);
			this.release();
		}
	}

	release(): void {
		const state = this.#state;
		this.#finish();
		if ("controller" in state) state.controller.abort(failure("cancelled", "withdrawn by the page"));
		if ("session" in state) state.session.free();
		for (const [session, timer] of this.#draining) {
			clearTimeout(timer);
			session.free();
		}
		this.#draining.clear();
		this.#port.close();
	}

	/** The session that carries what is new. */
	get #current(): Session | undefined {
		const state = this.#state;
		return "session" in state && !("end" in state) ? state.session : undefined;
	}

	#isOver(): boolean {
		return this.#state.type === "over";
	}

	#establish(at: DialData, signal: AbortSignal): Promise<Session> {
		return Session.establish(this.#api, this.#dial, at, this.#origins, signal);
	}

	/** The session is the current one from now on. */
	#adopt(session: Session): void {
		this.#state = { type: "connected", session };
		const isCurrent = () => this.#current === session;
		session.watchGoaway((uri) => isCurrent() && void this.#goaway(session, uri));
		session.watchBandwidth((estimate) => isCurrent() && this.#port.post({ type: "bandwidth", ...estimate }));
		session.watchRivals((broadcast) => {
			if (isCurrent())
				this.#tellFate(
					session,
					this.#producers().filter(({ core }) => core === broadcast),
				);
		});
		setTimeout(() => isCurrent() && this.#tellFate(session, this.#producers()), ASK_MS);
		void session.ended.then((end) => this.#ended(session, end));
	}

	/** Adopts a session that takes the place of another one, and tells the page. */
	#replace(session: Session): void {
		this.#adopt(session);
		this.#replacedAt = performance.now();
		const { origin, pathname } = new URL(session.at.url);
		this.#port.post({ type: "moved", url: origin + pathname, connected: session.connected });
	}

	#tellFate(session: Session, producers: readonly ProducerEntry[]): void {
		for (const producer of producers) {
			if (!producer.recipe || this.#unheard.has(producer)) continue;
			const { broadcast } = producer.recipe;
			if (this.#api.isUnheard(producer.core, session.handle)) {
				this.#unheard.add(producer);
				this.#port.post({ type: "unheard", broadcast });
			} else if (!this.#contested.has(producer) && this.#api.hasRival(producer.core, session.handle)) {
				this.#contested.add(producer);
				this.#port.post({ type: "conflict", broadcast });
			}
		}
	}

	/** The peer wants us elsewhere: go there if we may. */
	async #goaway(session: Session, uri: string): Promise<void> {
		this.#port.post({ type: "goaway", uri });
		this.#left.add(session);
		if (this.#state.type !== "connected") return;
		const to = this.recipe.dial.reconnect ? redirected(session.at, uri) : undefined;
		this.#moves = session.ageMs < SETTLED_MS ? this.#moves + 1 : 1;
		// Nowhere to go, or in circles: what is here goes on until the peer ends it, which is heard of then.
		if (to && this.#moves <= MAX_MOVES) await this.#move(session, to, uri);
	}

	/** Make the next session, and keep this one until it ends or has had its time. */
	async #move(session: Session, to: DialData, uri: string): Promise<void> {
		const state: Extract<State, { type: "moving" }> = { type: "moving", session, controller: new AbortController() };
		const { signal } = state.controller;
		this.#state = state;
		try {
			const next = await this.#establish(await freshToken(this.#port, to, uri, signal), signal);
			this.#replace(next);
			if (state.end) session.free();
			else this.#drain(session);
		} catch (error) {
			if (this.#state !== state) return;
			this.#state = { type: "connected", session };
			if (state.end) this.#lost(session, state.end, asErrorData(error));
		}
	}

	/** Let a replaced session carry what it carries for a while. */
	#drain(session: Session): void {
		const timer = setTimeout(() => {
			this.#draining.delete(session);
			session.free();
		}, DRAIN_MS);
		this.#draining.set(session, timer);
	}

	/** A session is over; the page hears of it if that was the connection. */
	#ended(session: Session, end: SessionEnd): void {
		// A core that crashed has nothing left to free, and has said so on its own way.
		if ("error" in end && end.error.kind === "worker-crashed") session.forget();
		clearTimeout(this.#draining.get(session));
		if (this.#draining.delete(session)) session.free();
		else if (this.#current !== session) return;
		else if (this.#state.type === "moving" && session.isLive) this.#state.end = end;
		else this.#lost(session, end);
	}

	/** There is no session any more. `moveError`: why the one that was to follow could not be made. */
	#lost(session: Session, end: SessionEnd, moveError?: ErrorData): void {
		const isCrashed = !session.isLive;
		session.free();
		const { reconnect, asksToken = false } = this.recipe.dial;
		if (reconnect && this.#aside.has(session)) {
			this.#attempts = 0;
			void this.#reconnect(failure("going-away", AWAY), true);
			return;
		}
		if ("close" in end && !(reconnect && this.#left.has(session))) {
			// A peer that closes in good order means it, unless it said that it goes away.
			this.#over({ type: "closed", close: end.close });
			return;
		}
		const ended = "close" in end ? failure("going-away", "the relay went away") : end.error;
		const error = moveError ? { ...ended, cause: moveError } : ended;
		if (isCrashed || !reconnect || isFinal(error, asksToken)) {
			this.#over({ type: "closed", error });
			return;
		}
		if (session.ageMs >= reconnect.resetAfterMs) this.#attempts = 0;
		void this.#reconnect(error);
	}

	/** Dials until there is a session again, or the policy gives up. `isAtOnce`: without a wait before the first dial. */
	async #reconnect(cause: ErrorData, isAtOnce = false): Promise<void> {
		const { dial } = this.recipe;
		const policy = dial.reconnect;
		if (!policy) return;
		const state: Extract<State, { type: "reconnecting" }> = {
			type: "reconnecting",
			controller: new AbortController(),
		};
		const { signal } = state.controller;
		this.#state = state;
		const began = performance.now();
		let error = cause;
		while (mayTry(policy, this.#attempts + 1, performance.now() - began)) {
			this.#attempts++;
			const isFirst = this.#attempts === 1;
			const delayMs = isAtOnce && isFirst ? 0 : Math.round(backOff(policy, this.#attempts, Math.random()));
			this.#port.post({ type: "reconnecting", attempt: this.#attempts, delayMs, cause: error });
			await pause(this.#isAway ? undefined : delayMs, signal, state);
			if (signal.aborted) return;
			try {
				const session = await this.#establish(await freshToken(this.#port, dial, "", signal), signal);
				this.#replace(session);
				return;
			} catch (thrown) {
				if (signal.aborted) return;
				error = asErrorData(thrown);
				if (isFinal(error, false)) break;
			}
		}
		this.#over({ type: "closed", error });
	}

	/** The page is put aside: a browser does not keep one that has a session open, and the peer should not wait for it. */
	#leave(): void {
		if (!this.recipe.dial.reconnect || this.#isOver()) return;
		this.#isAway = true;
		const state = this.#state;
		if (state.type === "moving") state.controller.abort(failure("cancelled", AWAY));
		const session = this.#current;
		if (!session) return;
		this.#aside.add(session);
		session.close(0, AWAY);
	}

	/** Now is a good time for another dial. */
	#hurry(): void {
		this.#isAway = false;
		if (this.#state.type === "reconnecting") this.#state.hurry?.();
	}

	/** Time stood still here: the peer may have given the session up, which would be noticed late. */
	#awake(): void {
		this.#hurry();
		const state = this.#state;
		if (state.type === "connected" && this.recipe.dial.reconnect) void this.#move(state.session, this.recipe.dial, "");
	}

	/** The page sent what is no message: it cannot be trusted with the rest. */
	#refuse(error: ErrorData): void {
		if (this.#isOver()) return;
		this.#port.post({ type: "closed", error });
		this.release();
	}

	/** Nothing follows: tell the page. */
	#over(event: Parameters<PagePort["post"]>[0]): void {
		if (this.#isOver()) return;
		this.#finish();
		this.#port.post(event);
	}

	#finish(): void {
		this.#state = { type: "over" };
		this.#stopWatching();
	}
}

/** Resolves after so long (undefined: never), or on a hurry, or when the signal is aborted. */
function pause(ms: number | undefined, signal: AbortSignal, state: { hurry?: () => void }): Promise<void> {
	return new Promise((resolve) => {
		const go = () => {
			clearTimeout(timer);
			signal.removeEventListener("abort", go);
			delete state.hurry;
			resolve();
		};
		const timer = ms === undefined ? undefined : setTimeout(go, ms);
		signal.addEventListener("abort", go, { once: true });
		state.hurry = go;
	});
}
