import type { CoreApi, Handle } from "../core/api.ts";
import type { OpenTransport } from "../core/transport.ts";
import { asErrorData, failure } from "../failure.ts";
import type { DialData, Id } from "../protocol/control.ts";
import type { ErrorData } from "../protocol/error.ts";
import { CLOSE_DEADLINE_MS, CONNECT_DEADLINE_MS } from "../protocol/limits.ts";
import type { CloseData, SessionStatsData } from "../protocol/model.ts";
import type { ConnectedData, ConnectionEvent } from "../protocol/port.ts";
import type { ProducerEntry } from "./broadcast.ts";
import { ASK_MS } from "./fate.ts";
import { redirected } from "./redirect.ts";
import { freshToken } from "./token.ts";

/** How long a session that was replaced may go on with what it carries: less than peers give it. */
const DRAIN_MS = 8_000;

/** Moves in a row that are followed, and how long a session has to last to begin a new row. */
const MAX_MOVES = 3;
const SETTLED_MS = 10_000;

/** The page hears of the peer's estimate at most this often. */
const BANDWIDTH_MS = 250;

/** Opens a transport to a relay. Rejects when `signal` aborts; what opens later is closed by it. */
export type Dial = (dial: DialData, signal: AbortSignal) => Promise<OpenTransport>;

/** What is needed to make a connection again. */
export interface ConnectionRecipe {
	dial: DialData;
	publish?: Id;
	consume?: Id;
}

type Session =
	| { type: "connecting"; controller: AbortController }
	| { type: "connected"; handle: Handle; closed: Promise<void>; since: number }
	| { type: "over" };

/** The two halves of a connection. Absent: that half is off. */
interface Origins {
	publish?: Handle;
	consume?: Handle;
}

/**
 * Two origins and the session that joins them to a peer. When the peer asks us to move, the next session is made first and
 * takes the place of the old one, which goes on for a while with what it carries.
 */
export class ConnectionEntry {
	readonly type = "connection";
	readonly recipe: ConnectionRecipe;
	readonly #api: CoreApi;
	readonly #port: MessagePort;
	/** What the page has made to be announced. */
	readonly #producers: () => readonly ProducerEntry[];
	/** What the page was told of that the peer does not ask for. */
	readonly #unheard = new WeakSet<ProducerEntry>();
	/** What the page was told of that another publisher announces, too. */
	readonly #contested = new WeakSet<ProducerEntry>();
	/** Sessions that were replaced and are not over. */
	readonly #draining = new Map<Handle, ReturnType<typeof setTimeout>>();
	/** Withdraws a move that is under way. */
	#moving: AbortController | undefined;
	/** How the old session ended while the move was under way. */
	#early: Extract<ConnectionEvent, { type: "closed" }> | undefined;
	/** Why the last move failed. */
	#moveError: ErrorData | undefined;
	/** Moves in a row, each away from a session that had hardly begun. */
	#moves = 0;
	#session: Session = { type: "connecting", controller: new AbortController() };

	constructor(api: CoreApi, recipe: ConnectionRecipe, port: MessagePort, producers: () => readonly ProducerEntry[]) {
		this.#api = api;
		this.recipe = recipe;
		this.#port = port;
		this.#producers = producers;
	}

	/** Dial and agree on a version, within the deadline. Once. */
	async connect(dial: Dial, origins: Origins): Promise<ConnectedData> {
		if (this.#session.type !== "connecting") throw failure("invalid-state", "the connection is not new");
		try {
			return await this.#establish(dial, this.recipe.dial, origins, this.#session.controller);
		} catch (error) {
			this.#session = { type: "over" };
			throw error;
		}
	}

	/** @throws ErrorData when there is no session. */
	stats(): SessionStatsData {
		if (this.#session.type !== "connected") throw failure("closed", "the connection is closed");
		return this.#api.sessionStats(this.#session.handle);
	}

	/** Tell the page, once for each, which of these the peer does not ask for, or has of another publisher. */
	tellFate(producers: readonly ProducerEntry[]): void {
		// What is offered by a session that has hardly begun is looked at later.
		if (this.#session.type !== "connected" || performance.now() - this.#session.since < ASK_MS) return;
		this.#tellFate(this.#session.handle, producers);
	}

	#tellFate(session: Handle, producers: readonly ProducerEntry[]): void {
		for (const producer of producers) {
			if (!producer.recipe || this.#unheard.has(producer)) continue;
			if (this.#api.isUnheard(producer.core, session)) {
				this.#unheard.add(producer);
				this.#post({ type: "unheard", broadcast: producer.recipe.broadcast });
			} else if (!this.#contested.has(producer) && this.#api.hasRival(producer.core, session)) {
				this.#contested.add(producer);
				this.#post({ type: "conflict", broadcast: producer.recipe.broadcast });
			}
		}
	}

	/** Tell the peer, and wait until it was told or a second has passed. It is over in any case. @throws ErrorData for a wrong code. */
	async close(code: number, reason: string): Promise<void> {
		let timer: ReturnType<typeof setTimeout> | undefined;
		try {
			if (this.#session.type !== "connected") return;
			const { handle, closed } = this.#session;
			this.#api.closeSession(handle, code, reason);
			const deadline = new Promise<void>((resolve) => {
				timer = setTimeout(resolve, CLOSE_DEADLINE_MS);
			});
			await Promise.race([closed, deadline]);
		} finally {
			clearTimeout(timer);
			this.release();
		}
	}

	release(): void {
		const withdrawn = failure("cancelled", "withdrawn by the page");
		if (this.#session.type === "connecting") this.#session.controller.abort(withdrawn);
		this.#moving?.abort(withdrawn);
		if (this.#session.type === "connected") this.#api.free(this.#session.handle);
		for (const [session, timer] of this.#draining) {
			clearTimeout(timer);
			this.#api.free(session);
		}
		this.#draining.clear();
		this.#session = { type: "over" };
		this.#port.close();
	}

	/** Dial and agree on a version, within the deadline; the session is the current one from then on. @throws ErrorData */
	async #establish(dial: Dial, to: DialData, origins: Origins, controller: AbortController): Promise<ConnectedData> {
		const { signal } = controller;
		const deadline = setTimeout(() => controller.abort(timeout()), CONNECT_DEADLINE_MS);
		try {
			const transport = await dial(to, signal);
			if (signal.aborted) {
				transport.discard();
				throw signal.reason;
			}
			// The core closes the transport when this fails or is cancelled.
			const operation = this.#api.connect(transport, { ...origins, versions: to.versions });
			const cancel = () => operation.cancel();
			signal.addEventListener("abort", cancel, { once: true });
			const { session, version } = await operation.result;
			signal.removeEventListener("abort", cancel);
			if (signal.aborted) {
				this.#api.free(session);
				throw signal.reason;
			}
			this.#session = { type: "connected", handle: session, closed: this.#watch(session), since: performance.now() };
			this.#heed(session, dial, to, origins);
			setTimeout(() => this.#isCurrent(session) && this.#tellFate(session, this.#producers()), ASK_MS);
			const connected: ConnectedData = { version, transport: transport.kind };
			if (transport.lost !== undefined) connected.lost = transport.lost;
			return connected;
		} catch (error) {
			throw asErrorData(signal.aborted ? signal.reason : error);
		} finally {
			clearTimeout(deadline);
		}
	}

	/** Follow what the peer says about the session, until that ends, which is told elsewhere. */
	#heed(session: Handle, dial: Dial, at: DialData, origins: Origins): void {
		this.#api.goingAway(session).result.then((uri) => this.#goaway(session, uri, dial, at, origins), ignore);
		const report = () => {
			this.#api.bandwidthChanged(session).result.then(() => {
				if (!this.#isCurrent(session)) return;
				const { rttMs, bitsPerSecond } = this.#api.sessionStats(session);
				this.#post({
					type: "bandwidth",
					...(rttMs === undefined ? {} : { rttMs }),
					...(bitsPerSecond === undefined ? {} : { bitsPerSecond }),
				});
				// However often a peer changes its mind.
				setTimeout(() => this.#isCurrent(session) && report(), BANDWIDTH_MS);
			}, ignore);
		};
		report();
		const contest = () => {
			this.#api.rivalAppears(session).result.then((broadcast) => {
				if (!this.#isCurrent(session)) return;
				this.#tellFate(
					session,
					this.#producers().filter(({ core }) => core === broadcast),
				);
				contest();
			}, ignore);
		};
		contest();
	}

	/** The peer wants us elsewhere: go there if we may, and keep the old session until it ends or has had its time. */
	async #goaway(session: Handle, uri: string, dial: Dial, at: DialData, origins: Origins): Promise<void> {
		if (this.#session.type !== "connected" || this.#session.handle !== session) return;
		this.#post({ type: "goaway", uri });
		const to = at.follow === false ? undefined : redirected(at, uri);
		this.#moves = performance.now() - this.#session.since < SETTLED_MS ? this.#moves + 1 : 1;
		// Nowhere to go, or in circles: what is here goes on until the peer ends it, and the page hears of that.
		if (!to || this.#moves > MAX_MOVES) return;
		const moving = new AbortController();
		this.#moving = moving;
		try {
			const now = await freshToken(this.#port, to, uri, moving.signal);
			const connected = await this.#establish(dial, now, origins, moving);
			const { origin, pathname } = new URL(to.url);
			this.#post({ type: "moved", url: origin + pathname, connected });
			if (this.#early) this.#api.free(session);
			else this.#drain(session);
		} catch (error) {
			// The end of the old session is the end of the connection, and this is why.
			this.#moveError = asErrorData(error);
			if (this.#early) this.#over(session, this.#early);
		} finally {
			this.#moving = undefined;
			this.#early = undefined;
		}
	}

	/** Let a replaced session carry what it carries for a while. */
	#drain(session: Handle): void {
		const timer = setTimeout(() => {
			this.#draining.delete(session);
			this.#api.free(session);
		}, DRAIN_MS);
		this.#draining.set(session, timer);
	}

	/** Nothing follows: tell the page. */
	#over(session: Handle, event: Extract<ConnectionEvent, { type: "closed" }>): void {
		if (!this.#isCurrent(session)) return;
		this.#session = { type: "over" };
		if (event.error && this.#moveError) event.error = { ...event.error, cause: this.#moveError };
		this.#post(event);
		// A core that crashed has nothing left to free, and has said so on its own way.
		if (event.error?.kind !== "worker-crashed") this.#api.free(session);
	}

	#isCurrent(session: Handle): boolean {
		return this.#session.type === "connected" && this.#session.handle === session;
	}

	#post(event: ConnectionEvent): void {
		this.#port.postMessage(event);
	}

	/** Settles when the session is over; the page hears of it if that was the connection. */
	async #watch(session: Handle): Promise<void> {
		let event: Extract<ConnectionEvent, { type: "closed" }>;
		try {
			const close: CloseData = await this.#api.sessionClosed(session).result;
			event = { type: "closed", close };
		} catch (error) {
			event = { type: "closed", error: asErrorData(error) };
		}
		const timer = this.#draining.get(session);
		const wasDraining = this.#draining.delete(session);
		clearTimeout(timer);
		// Freed by the page, or after its time: whoever did it knows.
		if (wasDraining) {
			if (event.error?.kind !== "worker-crashed") this.#api.free(session);
		} else if (!this.#isCurrent(session)) return;
		else if (this.#moving && event.error?.kind !== "worker-crashed") this.#early = event;
		else this.#over(session, event);
	}
}

function timeout() {
	return failure("timeout", `no connection within ${CONNECT_DEADLINE_MS / 1000} s: the relay is not there or silent`);
}

function ignore(): void {}
