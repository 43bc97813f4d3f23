import type { CoreApi, Handle } from "../../core/api.ts";
import type { OpenTransport } from "../../core/transport.ts";
import { asErrorData, failure } from "../../failure.ts";
import type { DialData } from "../../protocol/control.ts";
import type { ErrorData } from "../../protocol/error.ts";
import { CONNECT_DEADLINE_MS } from "../../protocol/limits.ts";
import type { BandwidthData, CloseData, SessionStatsData } from "../../protocol/model.ts";
import type { ConnectedData } from "../../protocol/port.ts";

/** The page hears of the peer's estimate at most this often. */
const BANDWIDTH_MS = 250;

/** Opens a transport to a relay. Rejects when `signal` aborts; what opens later is closed by it. */
export type Dial = (dial: DialData, signal: AbortSignal) => Promise<OpenTransport>;

/** The two halves of a connection. Absent: that half is off. */
export interface Origins {
	publish?: Handle;
	consume?: Handle;
}

/** How a session ended: a clean close of either side, or what else ended it. */
export type SessionEnd = { close: CloseData } | { error: ErrorData };

/** One session with a peer, from its agreed version to its end. */
export class Session {
	readonly handle: Handle;
	/** How it was made. */
	readonly connected: ConnectedData;
	/** The address, which may hold a token. */
	readonly at: DialData;
	readonly ended: Promise<SessionEnd>;
	readonly #api: CoreApi;
	readonly #since = performance.now();
	#isLive = true;

	private constructor(api: CoreApi, handle: Handle, at: DialData, connected: ConnectedData) {
		this.#api = api;
		this.handle = handle;
		this.at = at;
		this.connected = connected;
		this.ended = api.sessionClosed(handle).result.then(
			(close) => ({ close }),
			(error: unknown) => ({ error: asErrorData(error) }),
		);
	}

	/** Dial and agree on a version, within the deadline. @throws ErrorData, or what `signal` was aborted with. */
	static async establish(
		api: CoreApi,
		dial: Dial,
		at: DialData,
		origins: Origins,
		signal: AbortSignal,
	): Promise<Session> {
		const late = new AbortController();
		const deadline = setTimeout(() => late.abort(timeout()), CONNECT_DEADLINE_MS);
		const withdraw = () => late.abort(signal.reason);
		signal.addEventListener("abort", withdraw, { once: true });
		if (signal.aborted) withdraw();
		try {
			const transport = await dial(at, late.signal);
			if (late.signal.aborted) {
				transport.discard();
				throw late.signal.reason;
			}
			// The core closes the transport when this fails or is cancelled.
			const operation = api.connect(transport, { ...origins, versions: at.versions });
			const cancel = () => operation.cancel();
			late.signal.addEventListener("abort", cancel, { once: true });
			const { session, version } = await operation.result;
			late.signal.removeEventListener("abort", cancel);
			if (late.signal.aborted) {
				api.free(session);
				throw late.signal.reason;
			}
			const connected: ConnectedData = { version, transport: transport.kind };
			if (transport.lost !== undefined) connected.lost = transport.lost;
			return new Session(api, session, at, connected);
		} catch (error) {
			throw asErrorData(late.signal.aborted ? late.signal.reason : error);
		} finally {
			clearTimeout(deadline);
			signal.removeEventListener("abort", withdraw);
		}
	}

	/** How long it has lasted, ms. */
	get ageMs(): number {
		return performance.now() - this.#since;
	}

	/** Whether there is something to free. */
	get isLive(): boolean {
		return this.#isLive;
	}

	get stats(): SessionStatsData {
		return this.#api.sessionStats(this.handle);
	}

	/** Tells the new estimates of the peer, until the session is freed or over. */
	watchBandwidth(tell: (estimate: BandwidthData) => void): void {
		this.#api.bandwidthChanged(this.handle).result.then(() => {
			if (!this.#isLive) return;
			const { rttMs, bitsPerSecond } = this.stats;
			tell({ ...(rttMs === undefined ? {} : { rttMs }), ...(bitsPerSecond === undefined ? {} : { bitsPerSecond }) });
			// However often a peer changes its mind.
			setTimeout(() => this.#isLive && this.watchBandwidth(tell), BANDWIDTH_MS);
		}, ignore);
	}

	/** Tells of each broadcast offered here whose path another publisher announces, too, until the session is freed or over. */
	watchRivals(tell: (broadcast: Handle) => void): void {
		this.#api.rivalAppears(this.handle).result.then((broadcast) => {
			if (!this.#isLive) return;
			tell(broadcast);
			this.watchRivals(tell);
		}, ignore);
	}

	/** Tells where the peer wants us, if it says so. */
	watchGoaway(tell: (uri: string) => void): void {
		this.#api.goingAway(this.handle).result.then((uri) => this.#isLive && tell(uri), ignore);
	}

	/** Tell the peer that it ends. @throws ErrorData for a wrong code. */
	close(code: number, reason: string): void {
		this.#api.closeSession(this.handle, code, reason);
	}

	/** Let go of it, once. */
	free(): void {
		if (!this.#isLive) return;
		this.#isLive = false;
		this.#api.free(this.handle);
	}

	/** It ended together with the core, which has nothing left to free. */
	forget(): void {
		this.#isLive = false;
	}
}

function timeout() {
	return failure("timeout", `no connection within ${CONNECT_DEADLINE_MS / 1000} s: the relay is not there or silent`);
}

function ignore(): void {}
