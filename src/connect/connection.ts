import type { DialData } from "../../worker/protocol/control.ts";
import type {
	BandwidthData as Bandwidth,
	CloseData as CloseInfo,
	SessionStatsData as ConnectionStats,
	Version,
} from "../../worker/protocol/model.ts";
import type { ConnectedData, ConnectionEvent, ConnectionRequest } from "../../worker/protocol/port.ts";
import { Anchor, anchorOf } from "../handle/anchor.ts";
import * as argument from "../handle/argument.ts";
import { keeping } from "../handle/collected.ts";
import { disposeBy } from "../handle/dispose.ts";
import { errorFrom, errorFromUnknown, failure, type MoqError, usage } from "../handle/error.ts";
import { TypedEventTarget } from "../handle/events.ts";
import { Pending, type WaitOptions } from "../handle/pending.ts";
import { quiet } from "../handle/quiet.ts";
import type { Link } from "../link/link.ts";
import type { AnnounceStream } from "../model/announced.ts";
import type { BroadcastConsumer } from "../model/broadcast-consumer.ts";
import {
	type BroadcastOptions,
	type BroadcastProducer,
	tellConflict,
	warnUnheard,
} from "../model/broadcast-producer.ts";
import type { BroadcastRequest, DynamicOptions, OriginDynamic } from "../model/broadcast-request.ts";
import type { DynamicHandler } from "../model/dynamic.ts";
import type { Origin } from "../model/origin.ts";
import { onLeave, onReturn } from "./page-return.ts";
import type { Runtime } from "./runtime.ts";
import { askToken, type Token } from "./token.ts";

/** Session codes below belong to the protocol. */
const FIRST_APP_CODE = 64;

/** How far a connection is. */
export type ConnectionState = "connected" | "reconnecting" | "closed";

/** A dial that is to come. */
export interface Reconnecting {
	/** Its number, from 1 on; it begins anew when a connection has held. */
	attempt: number;
	/** How long until then, ms; less if the network or the page comes back before. */
	delayMs: number;
	/** Why the connection was lost, or why the dial before this one failed. */
	cause: MoqError;
}

/** Events of a {@link Connection}: a `CustomEvent` whose `detail` is of this type. */
export interface ConnectionEventMap {
	/** The new state. */
	statechange: ConnectionState;
	/** What is waited for, by `waitForBroadcast` or `announced`, cannot come: the token does not let this be read (kind `unauthorized`). */
	warning: MoqError;
	/** The connection was lost, or another dial failed, and there will be another one. */
	reconnecting: Reconnecting;
	/** The connection has followed its relay to this address, without token and query. */
	urlchange: string;
	/** The peer asks us to move to this address (empty: to the same one). The connection follows by itself where it may. */
	goaway: { uri: string };
	/** The connection is at its end, with the cause. A close by either side is no error. */
	error: MoqError;
}

/** For other entry points of this package: what is behind an origin of a connection. @throws UsageError, or why it is over. */
export function originOf(connection: Connection, half: "publish" | "consume"): Anchor {
	if (!(connection instanceof Connection)) throw usage("connection is not a Connection of this library");
	return anchorOf(connection[half], half);
}

/** The outcome of a connect on its way, in the worker and here. */
interface Made {
	anchor: Anchor;
	runtime: Runtime;
	port: MessagePort;
	url: string;
	publish: Origin;
	consume: Origin;
	/** The origin that ends with the connection. */
	own: Anchor | undefined;
	connected: ConnectedData;
	token?: Token | undefined;
}

/** Connect by way of `link`. The origins are those of the caller, or `own`: made for this connection. `token` is for further dials. */
export let openConnection: (
	link: Link,
	dial: DialData,
	by: { runtime: Runtime; publish: Origin; consume: Origin; own: Origin | undefined; token?: Token | undefined },
	options: WaitOptions | undefined,
) => Pending<Connection>;

/** One way to a relay. Listen to "statechange" and "error". */
export class Connection extends TypedEventTarget<ConnectionEventMap> {
	/** The worker that carries it. */
	readonly runtime: Runtime;
	/** Offered to the peer. */
	readonly publish: Origin;
	/** Filled by the peer. */
	readonly consume: Origin;
	/**
	 * Resolves when either side closed the connection without an error (code 0); rejects with what else ended it: kind
	 * `app` when the peer closed with a code of its own. Never raises an unhandled rejection.
	 */
	readonly closed: Promise<CloseInfo>;
	readonly #anchor: Anchor;
	readonly #port: MessagePort;
	readonly #token: Token | undefined;
	/** Stops what is under way for the connection. */
	readonly #over = new AbortController();
	#bandwidth: ReadableStream<Bandwidth> | undefined;
	/** Ends the wait for the next estimate. */
	#wake: (() => void) | undefined;
	#url: string;
	#connected: ConnectedData;
	#estimate: Bandwidth | undefined;
	#state: ConnectionState = "connected";
	/** The page was put aside, and the worker was told. */
	#hasLeft = false;
	/** What this side closed it with. */
	#said: Pick<CloseInfo, "code" | "reason"> = {};

	private constructor({ anchor, runtime, port, url, publish, consume, own, connected, token }: Made) {
		super();
		this.#port = port;
		this.#token = token;
		this.#anchor = anchor;
		this.#url = url;
		this.#connected = connected;
		this.runtime = runtime;
		this.publish = publish;
		this.consume = consume;
		this.closed = quiet(
			new Promise((resolve, reject) => {
				port.onmessage = ({ data }: MessageEvent<ConnectionEvent>) => {
					if (data.type !== "closed") this.#event(data);
					else if (data.error) anchor.fail(errorFrom(data.error));
					else {
						resolve(data.close ?? { local: false });
						anchor.close();
					}
				};
				anchor.onEnd((error) => {
					port.onmessage = null;
					port.close();
					if (error) reject(error);
					else resolve({ ...this.#said, local: true });
					if (error) own?.fail(error);
					else own?.close();
					this.#ended(error);
				});
			}),
		);
		onReturn(this.#over.signal, () => {
			// What the worker did in the last moment may not have been heard of yet.
			if (this.#hasLeft || this.#state === "reconnecting")
				port.postMessage({ type: "hurry" } satisfies ConnectionRequest);
			this.#hasLeft = false;
		});
		onLeave(this.#over.signal, () => {
			this.#hasLeft = true;
			port.postMessage({ type: "leave" } satisfies ConnectionRequest);
		});
		anchor.hold(this);
		// What was found or announced through an origin needs the connections that join it to peers.
		keeping(publish, this);
		keeping(consume, this);
	}

	static {
		openConnection = (link, data, by, options) =>
			new Pending((resolve, reject) => {
				const publish = anchorOf(by.publish, "publish", link);
				const consume = anchorOf(by.consume, "consume", link);
				const own = by.own && anchorOf(by.own, "origin");
				const dial = typeof by.token === "function" ? { ...data, asksToken: true } : data;
				const { port1, port2 } = new MessageChannel();
				const anchor = new Anchor(link, "connection");
				const args = { connection: anchor.id, dial, publish: publish.id, consume: consume.id, port: port2 };
				const url = new URL(dial.url);
				const address = url.origin + url.pathname;
				link.call("connect", args, {
					resolve: (connected) => {
						if (anchor.isLive) resolve(new Connection({ anchor, port: port1, url: address, ...by, own, connected }));
					},
					reject: (error) => {
						port1.close();
						anchor.fail(error);
						reject(error);
					},
				});
				return () => {
					port1.close();
					anchor.withdraw();
				};
			}, options);
	}

	/** The address of the relay, without token and query. It changes when the connection follows a relay that goes away. */
	get url(): string {
		return this.#url;
	}

	/** The version both sides agreed on. */
	get version(): Version {
		return this.#connected.version;
	}

	/** The transport that won. */
	get transport(): "webtransport" | "websocket" {
		return this.#connected.transport;
	}

	/** Why it is not the other transport, when both were tried. */
	get fallbackReason(): string | undefined {
		return this.#connected.lost;
	}

	/**
	 * What the peer says the connection can carry: the newest estimate there is, then each that differs, until the connection ends.
	 * An estimate that is not read in time is replaced. Versions before 03 have none, and not every relay gives one. One stream for all readers,
	 * until it is cancelled: `tee()` makes two of it.
	 */
	get bandwidth(): ReadableStream<Bandwidth> {
		this.#bandwidth ??= this.#estimates();
		return this.#bandwidth;
	}

	/** "reconnecting" while the connection is lost and made again by the policy of `reconnect`; "closed" is the end. */
	get state(): ConnectionState {
		return this.#state;
	}

	/** What the peer announces under `prefix`, now and later. */
	announced(prefix?: string): AnnounceStream {
		return this.consume.announced(prefix);
	}

	/** The broadcast at `path` if it is announced now; rejects with a NotFoundError at once when it is not. */
	requestBroadcast(path: string, options?: WaitOptions): Pending<BroadcastConsumer> {
		return this.consume.requestBroadcast(path, options);
	}

	/** Waits until `path` is announced. */
	waitForBroadcast(path: string, options?: WaitOptions): Pending<BroadcastConsumer> {
		return this.consume.waitForBroadcast(path, options);
	}

	/** A new broadcast, announced to the peer under `path`, as {@link Origin.createBroadcast}. */
	createBroadcast(path: string, options?: BroadcastOptions): BroadcastProducer {
		return this.publish.createBroadcast(path, options);
	}

	/** Serve paths that nobody announces, to the peer: with a handler, or by asking the result for requests. */
	dynamic(handler?: DynamicHandler<BroadcastRequest>, options?: DynamicOptions): OriginDynamic {
		return this.publish.dynamic(handler, options);
	}

	/** Figures of the connection, as fresh as a round trip to the worker. */
	stats(options?: WaitOptions): Pending<ConnectionStats> {
		const connection = this.#anchor.id;
		return this.#anchor.wait("connectionStats", () => ({ connection }), options);
	}

	/**
	 * Close with a code (0: nothing is wrong; an application's own are 64…2^32−1) and a text for the peer.
	 * @throws UsageError for a code that belongs to the protocol.
	 */
	close(code = 0, reason = ""): void {
		argument.whole("code", code, 0xffff_ffff);
		if (code > 0 && code < FIRST_APP_CODE) throw usage(`code must be 0, or from ${FIRST_APP_CODE} on`);
		argument.text("reason", reason);
		if (!this.#anchor.isLive) return;
		const { link, id } = this.#anchor;
		this.#said = reason ? { code, reason } : { code };
		// The worker frees the session when the peer was told; nobody waits for that here.
		link.call("closeConnection", { connection: id, code, reason }, { reject: () => undefined });
		this.#anchor.close();
	}

	/** `close()`, for `using`; present where the engine has the symbol. */
	declare [Symbol.dispose]: () => void;

	#event(event: Exclude<ConnectionEvent, { type: "closed" }>): void {
		switch (event.type) {
			case "goaway":
				this.emit("goaway", { uri: event.uri });
				return;
			case "token":
				void this.#answerToken();
				return;
			case "reconnecting": {
				const { attempt, delayMs, cause } = event;
				this.#become("reconnecting");
				this.emit("reconnecting", { attempt, delayMs, cause: errorFrom(cause) });
				return;
			}
			case "moved":
				this.#connected = event.connected;
				if (this.#url !== event.url) {
					this.#url = event.url;
					this.emit("urlchange", event.url);
				}
				this.#become("connected");
				return;
			case "unheard":
				warnUnheard(this.#anchor.link, event.broadcast, this.#url);
				return;
			case "conflict":
				tellConflict(this.#anchor.link, event.broadcast, this);
				return;
			case "unreadable": {
				const what = `the token of the connection to ${this.#url} does not let it read "${event.path}"`;
				this.emit("warning", failure("unauthorized", `${what}: nothing will be found there`));
				return;
			}
			case "bandwidth": {
				const { type: _, ...estimate } = event;
				this.#estimate = estimate;
				this.#wake?.();
				return;
			}
			default:
				event satisfies never;
		}
	}

	/** Give the worker a token for another dial. It goes nowhere else. */
	async #answerToken(): Promise<void> {
		const answer: ConnectionRequest = { type: "token" };
		try {
			const token = await askToken(this.#token, this.#over.signal);
			if (token !== undefined) answer.token = token;
		} catch (error) {
			const { kind, message } = errorFromUnknown(error);
			answer.error = { kind, message };
		}
		// Without effect once the connection has ended.
		this.#port.postMessage(answer);
	}

	#estimates(): ReadableStream<Bandwidth> {
		let given: Bandwidth | undefined;
		return new ReadableStream<Bandwidth>(
			{
				pull: async (controller) => {
					while (this.#estimate === given && this.#state !== "closed") {
						await new Promise<void>((resolve) => {
							this.#wake = resolve;
						});
					}
					if (!this.#estimate || this.#estimate === given) return controller.close();
					given = this.#estimate;
					controller.enqueue(given);
				},
				cancel: () => {
					this.#bandwidth = undefined;
				},
			},
			{ highWaterMark: 0 },
		);
	}

	#become(state: ConnectionState): void {
		if (this.#state === state) return;
		this.#state = state;
		this.emit("statechange", state);
	}

	#ended(error: MoqError | undefined): void {
		if (this.#state === "closed") return;
		this.#over.abort();
		this.#become("closed");
		this.#wake?.();
		if (error) this.emit("error", error);
	}
}

disposeBy(Connection, "close");
