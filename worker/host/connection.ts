import type { CoreApi, Handle } from "../core/api.ts";
import type { OpenTransport } from "../core/transport.ts";
import { asErrorData, failure } from "../failure.ts";
import type { DialData, Id } from "../protocol/control.ts";
import { CLOSE_DEADLINE_MS, CONNECT_DEADLINE_MS } from "../protocol/limits.ts";
import type { CloseData, SessionStatsData } from "../protocol/model.ts";
import type { ConnectedData, ConnectionEvent } from "../protocol/port.ts";

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
	| { type: "connected"; handle: Handle; closed: Promise<void> }
	| { type: "over" };

/** Two origins and the session that joins them to a peer. The session is replaceable, the rest is the connection. */
export class ConnectionEntry {
	readonly type = "connection";
	readonly recipe: ConnectionRecipe;
	readonly #api: CoreApi;
	readonly #port: MessagePort;
	#session: Session = { type: "connecting", controller: new AbortController() };

	constructor(api: CoreApi, recipe: ConnectionRecipe, port: MessagePort) {
		this.#api = api;
		this.recipe = recipe;
		this.#port = port;
	}

	/** Dial and agree on a version, within the deadline. Once. */
	async connect(dial: Dial, origins: { publish?: Handle; consume?: Handle }): Promise<ConnectedData> {
		if (this.#session.type !== "connecting") throw failure("invalid-state", "the connection is not new");
		const { signal } = this.#session.controller;
		const deadline = setTimeout(() => this.#abort(timeout()), CONNECT_DEADLINE_MS);
		try {
			return await this.#establish(dial, origins, signal);
		} catch (error) {
			this.#session = { type: "over" };
			throw signal.aborted ? asErrorData(signal.reason) : asErrorData(error);
		} finally {
			clearTimeout(deadline);
		}
	}

	/** @throws ErrorData when there is no session. */
	stats(): SessionStatsData {
		if (this.#session.type !== "connected") throw failure("closed", "the connection is closed");
		return this.#api.sessionStats(this.#session.handle);
	}

	/** Tell the peer, and wait until it was told or a second has passed. */
	async close(code: number, reason: string): Promise<void> {
		if (this.#session.type === "connected") {
			const { handle, closed } = this.#session;
			this.#api.closeSession(handle, code, reason);
			let timer: ReturnType<typeof setTimeout> | undefined;
			const deadline = new Promise<void>((resolve) => {
				timer = setTimeout(resolve, CLOSE_DEADLINE_MS);
			});
			await Promise.race([closed, deadline]);
			clearTimeout(timer);
		}
		this.release();
	}

	release(): void {
		this.#abort(failure("cancelled", "withdrawn by the page"));
		if (this.#session.type === "connected") this.#api.free(this.#session.handle);
		this.#session = { type: "over" };
		this.#port.close();
	}

	#abort(reason: unknown): void {
		if (this.#session.type === "connecting") this.#session.controller.abort(reason);
	}

	async #establish(
		dial: Dial,
		origins: { publish?: Handle; consume?: Handle },
		signal: AbortSignal,
	): Promise<ConnectedData> {
		const transport = await dial(this.recipe.dial, signal);
		if (signal.aborted) {
			transport.discard();
			throw signal.reason;
		}
		// The core closes the transport when this fails or is cancelled.
		const operation = this.#api.connect(transport, { ...origins, versions: this.recipe.dial.versions });
		const cancel = () => operation.cancel();
		signal.addEventListener("abort", cancel, { once: true });
		const { session, version } = await operation.result;
		signal.removeEventListener("abort", cancel);
		if (signal.aborted) {
			this.#api.free(session);
			throw signal.reason;
		}
		this.#session = { type: "connected", handle: session, closed: this.#watch(session) };
		const connected: ConnectedData = { version, transport: transport.kind };
		if (transport.lost !== undefined) connected.lost = transport.lost;
		return connected;
	}

	/** Tell the page how the session ended; the one place that does. */
	async #watch(session: Handle): Promise<void> {
		let event: ConnectionEvent;
		try {
			const close: CloseData = await this.#api.sessionClosed(session).result;
			event = { type: "closed", close };
		} catch (error) {
			event = { type: "closed", error: asErrorData(error) };
		}
		// Freed by the page: it knows.
		if (this.#session.type !== "connected" || this.#session.handle !== session) return;
		this.#session = { type: "over" };
		this.#port.postMessage(event);
		// A core that crashed has nothing left to free, and has said so on its own way.
		if (event.error?.kind !== "worker-crashed") this.#api.free(session);
	}
}

function timeout() {
	return failure("timeout", `no connection within ${CONNECT_DEADLINE_MS / 1000} s: the relay is not there or silent`);
}
