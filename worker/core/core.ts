/** The core as the rest of the worker sees it: see `api.ts` for what each call means. */

import { Core as Raw } from "../../wasm/bindings/pkg/core.js";
import type { ErrorData } from "../protocol/error.ts";
import type {
	CloseData,
	CoreStats,
	Rejection,
	RequestData,
	SessionStatsData,
	SubscriptionData,
	TrackInfoData,
	Version,
} from "../protocol/model.ts";
import type {
	AnnounceListener,
	Asked,
	ConnectConfig,
	Connected,
	CoreApi,
	Handle,
	Operation,
	PendingSubscription,
	Sink,
} from "./api.ts";
import { Drain, type Receivers } from "./command.ts";
import { Instance } from "./instance.ts";
import { Link } from "./link.ts";
import { load, type WasmSource } from "./load.ts";
import { Memory } from "./memory.ts";
import { Operations, type Outcome, refused } from "./operation.ts";
import { Schedule } from "./schedule.ts";
import type { OpenTransport, TransportOutput } from "./transport.ts";

/** What a new core is given. */
export interface CoreOptions {
	/** Tried in this order. */
	wasm: readonly WasmSource[];
	/** Called at most once: the core crashed, everything pending was rejected, and no call will work again. */
	onFatal(error: ErrorData): void;
}

/** Bytes of the seed for the core's random numbers. */
const SEED_BYTES = 32;

/** Absent, as the core takes it. */
const NONE = Number.NaN;

/** A running core. Several may share one wasm instance; a crash takes all of them down. */
export class Core implements CoreApi, Receivers {
	readonly #instance: Instance;
	readonly #schedule: Schedule;
	readonly #drain: Drain;
	readonly #operations: Operations;
	readonly #sinks = new Map<Handle, Sink>();
	readonly #listeners = new Map<Handle, AnnounceListener>();
	readonly #transports = new Map<number, TransportOutput>();
	readonly #onFatal: (error: ErrorData) => void;
	/** Bytes. */
	readonly #maxFrame: number;

	/** Load the wasm if that has not happened yet, and start a core in it. @throws ErrorData of kind `worker-load`. */
	static async load(options: CoreOptions): Promise<Core> {
		const { memory } = await load(options.wasm);
		return new Core(new Memory(memory), options.onFatal);
	}

	private constructor(memory: Memory, onFatal: (error: ErrorData) => void) {
		this.#onFatal = onFatal;
		const seed = crypto.getRandomValues(new Uint8Array(SEED_BYTES));
		this.#instance = new Instance(
			memory,
			(panic) => new Raw(panic, seed),
			(error) => this.#crashed(error),
		);
		this.#maxFrame = this.#instance.call((raw) => raw.maxFrame());
		this.#drain = new Drain(memory, this);
		this.#operations = new Operations((id) => this.#call((raw) => raw.cancel(id)));
		this.#schedule = new Schedule((now) => this.#poll(now));
	}

	createOrigin(): Handle {
		return this.#call((raw) => raw.createOrigin());
	}

	originId(origin: Handle): string {
		return this.#call((raw) => raw.originId(origin));
	}

	announced(origin: Handle, prefix: string, listener: AnnounceListener): Handle {
		const handle = this.#call((raw) => raw.announced(origin, prefix));
		this.#listeners.set(handle, listener);
		return handle;
	}

	requestBroadcast(origin: Handle, path: string): Operation<Handle> {
		return this.#start((raw) => raw.requestBroadcast(origin, path), handle);
	}

	waitForBroadcast(origin: Handle, path: string): Operation<Handle> {
		return this.#start((raw) => raw.waitForBroadcast(origin, path), handle);
	}

	scopeOrigin(origin: Handle, prefixes: readonly string[]): Handle {
		const broken = prefixes.find((prefix) => prefix.includes("\n"));
		if (broken !== undefined) throw { kind: "usage", message: "a prefix holds a line feed" } satisfies ErrorData;
		return this.#call((raw) => raw.view(origin, prefixes.map((prefix) => `${prefix}\n`).join(""), false));
	}

	rootOrigin(origin: Handle, root: string): Handle {
		return this.#call((raw) => raw.view(origin, root, true));
	}

	makeBroadcast(): Handle {
		return this.#call((raw) => raw.makeBroadcast());
	}

	createBroadcast(origin: Handle, path: string): Handle {
		return this.#call((raw) => raw.createBroadcast(origin, path));
	}

	publish(origin: Handle, path: string, broadcast: Handle): Handle {
		return this.#call((raw) => raw.publish(origin, path, broadcast));
	}

	consume(broadcast: Handle): Handle {
		return this.#call((raw) => raw.consume(broadcast));
	}

	cloneBroadcast(broadcast: Handle): Handle {
		return this.#call((raw) => raw.cloneBroadcast(broadcast));
	}

	broadcastClosed(broadcast: Handle): Operation<ErrorData> {
		return this.#start((raw) => raw.broadcastClosed(broadcast), json<ErrorData>);
	}

	insertTrack(broadcast: Handle, track: Handle): void {
		this.#call((raw) => raw.insertTrack(broadcast, track));
	}

	removeTrack(broadcast: Handle, name: string): void {
		this.#call((raw) => raw.removeTrack(broadcast, name));
	}

	track(broadcast: Handle, name: string): Handle {
		return this.#call((raw) => raw.track(broadcast, name));
	}

	trackInfo(track: Handle): Operation<TrackInfoData> {
		return this.#start((raw) => raw.trackInfo(track), json<TrackInfoData>);
	}

	subscribe(track: Handle, prefs: SubscriptionData, sink: Sink): PendingSubscription {
		const [subscription, operation] = this.#call((raw) => {
			const subscription = raw.subscribe(track, ...preferences(prefs));
			return [subscription, raw.confirmed(subscription)];
		});
		this.#sinks.set(subscription, sink);
		const { result, cancel } = this.#operations.add(operation, json<TrackInfoData>);
		return {
			handle: subscription,
			result,
			cancel: () => {
				cancel();
				if (this.#sinks.has(subscription)) this.free(subscription);
			},
		};
	}

	updateSubscription(subscription: Handle, prefs: SubscriptionData): void {
		this.#call((raw) => raw.updateSubscription(subscription, ...preferences(prefs)));
	}

	startAt(subscription: Handle, sequence: number): void {
		this.#call((raw) => raw.startAt(subscription, sequence));
	}

	endAt(subscription: Handle, sequence: number | undefined): void {
		this.#call((raw) => raw.endAt(subscription, sequence ?? NONE));
	}

	grant(reader: Handle, frames: number, bytes: number): void {
		this.#call((raw) => raw.grant(reader, frames, bytes));
	}

	want(subscription: Handle, gid: number): void {
		this.#call((raw) => raw.want(subscription, gid));
	}

	setOrder(subscription: Handle, arrival: boolean): void {
		this.#call((raw) => raw.setOrder(subscription, arrival));
	}

	wantDatagrams(subscription: Handle): void {
		this.#call((raw) => raw.wantDatagrams(subscription));
	}

	skip(subscription: Handle, gid: number): void {
		this.#call((raw) => raw.skip(subscription, gid));
	}

	fetchGroup(
		track: Handle,
		sequence: number,
		options: { priority?: number; frameStart?: number },
		sink: Sink,
	): Operation<Handle> {
		const operation = this.#call((raw) =>
			raw.fetchGroup(track, sequence, options.priority ?? 0, options.frameStart ?? 0),
		);
		return this.#track(operation, (outcome) => {
			const reader = handle(outcome);
			this.#sinks.set(reader, sink);
			return reader;
		});
	}

	getGroup(track: Handle, sequence: number, sink: Sink): Handle | undefined {
		const reader = this.#call((raw) => raw.getGroup(track, sequence));
		if (reader === 0) return undefined;
		this.#sinks.set(reader, sink);
		return reader;
	}

	createTrack(broadcast: Handle, name: string, info: TrackInfoData = {}): Handle {
		return this.#call((raw) => raw.createTrack(broadcast, name, ...properties(info)));
	}

	consumeTrack(track: Handle): Handle {
		return this.#call((raw) => raw.consumeTrack(track));
	}

	createGroup(track: Handle, sequence?: number): { handle: Handle; sequence: number } {
		return this.#call((raw) => {
			const group = raw.createGroup(track, sequence ?? NONE);
			return { handle: group, sequence: raw.groupSequence(group) };
		});
	}

	writeFrame(group: Handle, data: Uint8Array, timestamp?: number): void {
		this.#checkSize(data);
		this.#call((raw) => raw.writeFrame(group, data, timestamp ?? NONE));
	}

	createFrame(group: Handle, size: number, timestamp?: number): Handle {
		return this.#call((raw) => raw.createFrame(group, size, timestamp ?? NONE));
	}

	writeChunk(frame: Handle, data: Uint8Array): void {
		this.#checkSize(data);
		this.#call((raw) => raw.writeChunk(frame, data));
	}

	finishGroup(group: Handle): void {
		this.#call((raw) => raw.finishGroup(group));
	}

	abortGroup(group: Handle, code: number): void {
		this.#call((raw) => raw.abortGroup(group, code));
	}

	writeTrackFrame(track: Handle, data: Uint8Array, timestamp?: number): number {
		this.#checkSize(data);
		return this.#call((raw) => raw.writeTrackFrame(track, data, timestamp ?? NONE));
	}

	writeDatagram(track: Handle, sequence: number, data: Uint8Array, timestamp?: number): void {
		this.#checkSize(data);
		this.#call((raw) => raw.writeDatagram(track, sequence, data, timestamp ?? NONE));
	}

	finishTrack(track: Handle): void {
		this.#call((raw) => raw.finishTrack(track));
	}

	finishTrackAt(track: Handle, sequence: number): void {
		this.#call((raw) => raw.finishTrackAt(track, sequence));
	}

	abortTrack(track: Handle, code: number): void {
		this.#call((raw) => raw.abortTrack(track, code));
	}

	latest(track: Handle): number | undefined {
		const latest = this.#call((raw) => raw.latest(track));
		return Number.isNaN(latest) ? undefined : latest;
	}

	trackUsed(track: Handle): Operation<void> {
		return this.#start((raw) => raw.trackUsed(track), nothing);
	}

	trackUnused(track: Handle): Operation<void> {
		return this.#start((raw) => raw.trackUnused(track), nothing);
	}

	subscription(track: Handle): SubscriptionData | undefined {
		const text = this.#call((raw) => raw.subscription(track));
		return (JSON.parse(text) as SubscriptionData | null) ?? undefined;
	}

	subscriptionChanged(track: Handle): Operation<SubscriptionData | null> {
		return this.#start((raw) => raw.subscriptionChanged(track), json<SubscriptionData | null>);
	}

	dynamic(of: Handle, prefix = ""): Handle {
		return this.#call((raw) => raw.dynamic(of, prefix));
	}

	nextRequest(handler: Handle): Operation<Asked> {
		return this.#start(
			(raw) => raw.nextRequest(handler),
			(outcome) => {
				const request = handle(outcome);
				const data = JSON.parse(this.#call((raw) => raw.requestData(request))) as RequestData;
				if ("name" in data) data.subscription = this.subscription(request) ?? null;
				return { request, data };
			},
		);
	}

	requestUnused(request: Handle): Operation<void> {
		return this.#start((raw) => raw.requestUnused(request), nothing);
	}

	rejectRequest(request: Handle, error: Rejection): void {
		const [kind, code] = "code" in error ? ["", error.code] : [error.kind, NONE];
		this.#call((raw) => raw.rejectRequest(request, kind, code));
	}

	acceptBroadcast(request: Handle, broadcast: Handle): void {
		this.#call((raw) => raw.acceptBroadcast(request, broadcast));
	}

	acceptTrack(request: Handle, info: TrackInfoData = {}): Handle {
		return this.#call((raw) => raw.acceptTrack(request, ...properties(info)));
	}

	acceptGroup(request: Handle, info: TrackInfoData = {}): Handle {
		return this.#call((raw) => raw.acceptGroup(request, ...properties(info)));
	}

	connect(transport: OpenTransport, config: ConnectConfig): Operation<Connected> {
		let session: number;
		let operation: number;
		try {
			session = this.#call((raw) => raw.openTransport(transport.protocol, transport.maxDatagramBytes));
			operation = this.#call((raw) =>
				raw.connect(session, config.publish ?? 0, config.consume ?? 0, config.versions.join(" ")),
			);
		} catch (error) {
			transport.discard();
			return refused(error as ErrorData);
		}
		this.#transports.set(session, transport.start(new Link(this.#instance, session, this)));
		return this.#track(operation, (outcome) => {
			const session = handle(outcome);
			return { session, version: this.#call((raw) => raw.sessionVersion(session)) as Version };
		});
	}

	sessionClosed(session: Handle): Operation<CloseData> {
		return this.#start((raw) => raw.sessionClosed(session), json<CloseData>);
	}

	closeSession(session: Handle, code: number, reason: string): void {
		this.#call((raw) => raw.closeSession(session, code, reason));
	}

	sessionStats(session: Handle): SessionStatsData {
		return JSON.parse(this.#call((raw) => raw.sessionStats(session))) as SessionStatsData;
	}

	goingAway(session: Handle): Operation<string> {
		return this.#start(
			(raw) => raw.goingAway(session),
			(outcome) => json<{ uri: string }>(outcome).uri,
		);
	}

	bandwidthChanged(session: Handle): Operation<void> {
		return this.#start((raw) => raw.bandwidthChanged(session), nothing);
	}

	free(handle: Handle): void {
		this.#call((raw) => raw.release(handle));
		this.ended(handle);
	}

	stats(): CoreStats {
		const stats = JSON.parse(this.#call((raw) => raw.stats())) as CoreStats;
		return { ...stats, memoryBytes: this.#instance.memory.size };
	}

	close(): void {
		if (this.#instance.dead) return;
		// Closing sessions needs one last look at the commands; nobody is told anything else any more.
		this.#sinks.clear();
		this.#listeners.clear();
		this.#operations.rejectAll({ kind: "closed", message: "the core was closed" });
		this.#call((raw) => raw.shutdown());
		this.#poll(performance.now());
		this.#schedule.close();
		this.#instance.close();
	}

	/** For links: there is input. */
	wake(): void {
		this.#schedule.wake();
	}

	/** For links: the transport is over. */
	unlink(session: number): void {
		this.#transports.delete(session);
	}

	transport(session: number): TransportOutput | undefined {
		return this.#transports.get(session);
	}

	sink(reader: Handle): Sink | undefined {
		return this.#sinks.get(reader);
	}

	listener(handle: Handle): AnnounceListener | undefined {
		return this.#listeners.get(handle);
	}

	ended(handle: Handle): void {
		this.#sinks.delete(handle);
		this.#listeners.delete(handle);
	}

	settle(operation: number, outcome: Outcome): void {
		const taken = this.#operations.settle(operation, outcome);
		// It was cancelled while this outcome was on its way: the handle would belong to nobody.
		if (!taken && outcome.type === "handle") this.free(outcome.handle);
	}

	#call<T>(work: (raw: Raw) => T): T {
		const result = this.#instance.call(work);
		this.#schedule.wake();
		return result;
	}

	/** Refused before it is copied: the copy alone could use up the memory of the core. */
	#checkSize(data: Uint8Array): void {
		const max = this.#maxFrame;
		if (data.byteLength <= max) return;
		throw { kind: "too-large", message: `a frame of ${data.byteLength} bytes, above ${max}` } satisfies ErrorData;
	}

	#start<T>(work: (raw: Raw) => number, read: (outcome: Outcome) => T): Operation<T> {
		let operation: number;
		try {
			operation = this.#call(work);
		} catch (error) {
			return refused(error as ErrorData);
		}
		return this.#track(operation, read);
	}

	#track<T>(operation: number, read: (outcome: Outcome) => T): Operation<T> {
		return this.#operations.add(operation, read);
	}

	/** One bounded run; returns when the next is due. */
	#poll(now: number): number {
		if (this.#instance.dead) return Number.POSITIVE_INFINITY;
		try {
			const again = this.#instance.call((raw) => raw.poll(now));
			const length = this.#instance.call((raw) => raw.commandsLength());
			if (length > 0) {
				this.#drain.run(
					this.#instance.call((raw) => raw.commandsPointer()),
					length,
				);
				this.#instance.call((raw) => raw.drained());
			}
			return again;
		} catch (error) {
			// A crash has told everybody. Anything else is a mistake of ours that must not stop the core quietly.
			if (!this.#instance.dead) throw error;
			return Number.POSITIVE_INFINITY;
		}
	}

	#crashed(error: ErrorData): void {
		this.#schedule.close();
		const sinks = [...this.#sinks.values()];
		const listeners = [...this.#listeners.values()];
		this.#sinks.clear();
		this.#listeners.clear();
		this.#transports.clear();
		this.#operations.rejectAll(error);
		for (const sink of sinks) sink.end(error);
		for (const listener of listeners) listener.end();
		this.#onFatal(error);
	}
}

function preferences(prefs: SubscriptionData): [number, boolean, number, number, number, number] {
	return [
		prefs.priority ?? 0,
		prefs.ordered ?? false,
		prefs.maxLatencyMs ?? 0,
		prefs.groupStart ?? NONE,
		prefs.groupEnd ?? NONE,
		prefs.batchMs ?? 0,
	];
}

function properties(info: TrackInfoData): [number, number, number, boolean, boolean] {
	return [
		info.timescale ?? NONE,
		info.cacheMs ?? NONE,
		info.priority ?? NONE,
		info.ordered ?? false,
		info.compress ?? false,
	];
}

function handle(outcome: Outcome): Handle {
	if (outcome.type === "handle") return outcome.handle;
	throw mismatch(outcome);
}

function json<T>(outcome: Outcome): T {
	if (outcome.type === "json") return JSON.parse(outcome.text) as T;
	throw mismatch(outcome);
}

function nothing(outcome: Outcome): void {
	if (outcome.type !== "done") throw mismatch(outcome);
}

function mismatch(outcome: Outcome): ErrorData {
	return { kind: "internal", message: `an operation settled as "${outcome.type}"` };
}
