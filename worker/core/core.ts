/** The core as the rest of the worker sees it: see `api.ts` for what each call means. */

import type { ErrorData } from "../protocol/error.ts";
import type {
	BroadcastInfoData,
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
import { Engine } from "./engine.ts";
import { load, type WasmSource } from "./load.ts";
import { Memory } from "./memory.ts";
import { handle, json, nothing, refused } from "./operation.ts";
import type { OpenTransport } from "./transport.ts";

/** What a new core is given. */
export interface CoreOptions {
	/** Tried in this order. */
	wasm: readonly WasmSource[];
	/** Called at most once: the core crashed, everything pending was rejected, and no call will work again. */
	onFatal(error: ErrorData): void;
}

/** Absent, as the core takes it. */
const NONE = Number.NaN;

/** A running core. Several may share one wasm instance; a crash takes all of them down. */
export class Core implements CoreApi {
	readonly #engine: Engine;
	/** Bytes. */
	readonly #maxFrame: number;

	/** Load the wasm if that has not happened yet, and start a core in it. @throws ErrorData of kind `worker-load`. */
	static async load(options: CoreOptions): Promise<Core> {
		const { memory } = await load(options.wasm);
		return new Core(new Engine(new Memory(memory), options.onFatal));
	}

	private constructor(engine: Engine) {
		this.#engine = engine;
		this.#maxFrame = engine.call((raw) => raw.maxFrame());
	}

	createOrigin(): Handle {
		return this.#engine.call((raw) => raw.createOrigin());
	}

	announced(origin: Handle, prefix: string, listener: AnnounceListener): Handle {
		const handle = this.#engine.call((raw) => raw.announced(origin, prefix));
		this.#engine.tell(handle, listener);
		return handle;
	}

	requestBroadcast(origin: Handle, path: string): Operation<Handle> {
		return this.#engine.start((raw) => raw.requestBroadcast(origin, path), handle);
	}

	waitForBroadcast(origin: Handle, path: string): Operation<Handle> {
		return this.#engine.start((raw) => raw.waitForBroadcast(origin, path), handle);
	}

	scopeOrigin(origin: Handle, prefixes: readonly string[]): Handle {
		const broken = prefixes.find((prefix) => prefix.includes("\n"));
		if (broken !== undefined) throw { kind: "usage", message: "a prefix holds a line feed" } satisfies ErrorData;
		return this.#engine.call((raw) => raw.view(origin, prefixes.map((prefix) => `${prefix}\n`).join(""), false));
	}

	rootOrigin(origin: Handle, root: string): Handle {
		return this.#engine.call((raw) => raw.view(origin, root, true));
	}

	makeBroadcast(): Handle {
		return this.#engine.call((raw) => raw.makeBroadcast());
	}

	createBroadcast(origin: Handle, path: string, hops: readonly string[] = [], isPlanned = false): Handle {
		const broken = hops.find((hop) => !/^\d+$/.test(hop));
		if (broken !== undefined) throw { kind: "usage", message: "a hop is no decimal number" } satisfies ErrorData;
		return this.#engine.call((raw) => raw.createBroadcast(origin, path, hops.join(" "), !isPlanned));
	}

	announceBroadcast(broadcast: Handle): void {
		this.#engine.call((raw) => raw.announceBroadcast(broadcast));
	}

	hasRival(broadcast: Handle, session: Handle): boolean {
		return this.#engine.call((raw) => raw.hasRival(broadcast, session));
	}

	isUnheard(broadcast: Handle, session: Handle): boolean {
		return this.#engine.call((raw) => raw.isUnheard(broadcast, session));
	}

	broadcastInfo(broadcast: Handle): BroadcastInfoData {
		return JSON.parse(this.#engine.call((raw) => raw.broadcastInfo(broadcast))) as BroadcastInfoData;
	}

	publish(origin: Handle, path: string, broadcast: Handle): Handle {
		return this.#engine.call((raw) => raw.publish(origin, path, broadcast));
	}

	consume(broadcast: Handle): Handle {
		return this.#engine.call((raw) => raw.consume(broadcast));
	}

	cloneBroadcast(broadcast: Handle): Handle {
		return this.#engine.call((raw) => raw.cloneBroadcast(broadcast));
	}

	broadcastClosed(broadcast: Handle): Operation<ErrorData> {
		return this.#engine.start((raw) => raw.broadcastClosed(broadcast), json<ErrorData>);
	}

	insertTrack(broadcast: Handle, track: Handle): void {
		this.#engine.call((raw) => raw.insertTrack(broadcast, track));
	}

	removeTrack(broadcast: Handle, name: string): void {
		this.#engine.call((raw) => raw.removeTrack(broadcast, name));
	}

	track(broadcast: Handle, name: string): Handle {
		return this.#engine.call((raw) => raw.track(broadcast, name));
	}

	trackInfo(track: Handle): Operation<TrackInfoData> {
		return this.#engine.start((raw) => raw.trackInfo(track), json<TrackInfoData>);
	}

	trackLatest(track: Handle): Operation<number | null> {
		return this.#engine.start((raw) => raw.trackLatest(track), json<number | null>);
	}

	subscribe(track: Handle, prefs: SubscriptionData, sink: Sink): PendingSubscription {
		const [subscription, operation] = this.#engine.call((raw) => {
			const subscription = raw.subscribe(track, ...preferences(prefs));
			return [subscription, raw.confirmed(subscription)];
		});
		this.#engine.deliver(subscription, sink);
		const { result, cancel } = this.#engine.track(operation, json<TrackInfoData>);
		return {
			handle: subscription,
			result,
			cancel: () => {
				cancel();
				if (this.#engine.sink(subscription)) this.free(subscription);
			},
		};
	}

	updateSubscription(subscription: Handle, prefs: SubscriptionData): void {
		this.#engine.call((raw) => raw.updateSubscription(subscription, ...preferences(prefs)));
	}

	startAt(subscription: Handle, sequence: number): void {
		this.#engine.call((raw) => raw.startAt(subscription, sequence));
	}

	endAt(subscription: Handle, sequence: number | undefined): void {
		this.#engine.call((raw) => raw.endAt(subscription, sequence ?? NONE));
	}

	grant(reader: Handle, frames: number, bytes: number): void {
		this.#engine.call((raw) => raw.grant(reader, frames, bytes));
	}

	want(subscription: Handle, gid: number): void {
		this.#engine.call((raw) => raw.want(subscription, gid));
	}

	setOrder(subscription: Handle, arrival: boolean): void {
		this.#engine.call((raw) => raw.setOrder(subscription, arrival));
	}

	wantDatagrams(subscription: Handle): void {
		this.#engine.call((raw) => raw.wantDatagrams(subscription));
	}

	skip(subscription: Handle, gid: number): void {
		this.#engine.call((raw) => raw.skip(subscription, gid));
	}

	fetchGroup(
		track: Handle,
		sequence: number,
		options: { priority?: number; frameStart?: number },
		sink: Sink,
	): Operation<Handle> {
		const operation = this.#engine.call((raw) =>
			raw.fetchGroup(track, sequence, options.priority ?? 0, options.frameStart ?? 0),
		);
		return this.#engine.track(operation, (outcome) => {
			const reader = handle(outcome);
			this.#engine.deliver(reader, sink);
			return reader;
		});
	}

	getGroup(track: Handle, sequence: number, sink: Sink): Handle | undefined {
		const reader = this.#engine.call((raw) => raw.getGroup(track, sequence));
		if (reader === 0) return undefined;
		this.#engine.deliver(reader, sink);
		return reader;
	}

	createTrack(broadcast: Handle, name: string, info: TrackInfoData = {}): Handle {
		return this.#engine.call((raw) => raw.createTrack(broadcast, name, ...properties(info)));
	}

	consumeTrack(track: Handle): Handle {
		return this.#engine.call((raw) => raw.consumeTrack(track));
	}

	createGroup(track: Handle, sequence?: number): { handle: Handle; sequence: number } {
		return this.#engine.call((raw) => {
			const group = raw.createGroup(track, sequence ?? NONE);
			return { handle: group, sequence: raw.groupSequence(group) };
		});
	}

	writeFrame(group: Handle, data: Uint8Array, timestamp?: number): void {
		this.#checkSize(data);
		this.#engine.call((raw) => raw.writeFrame(group, data, timestamp ?? NONE));
	}

	createFrame(group: Handle, size: number, timestamp?: number): Handle {
		return this.#engine.call((raw) => raw.createFrame(group, size, timestamp ?? NONE));
	}

	writeChunk(frame: Handle, data: Uint8Array): void {
		this.#checkSize(data);
		this.#engine.call((raw) => raw.writeChunk(frame, data));
	}

	finishGroup(group: Handle): void {
		this.#engine.call((raw) => raw.finishGroup(group));
	}

	abortGroup(group: Handle, error: Rejection): void {
		this.#engine.call((raw) => raw.abortGroup(group, ...reason(error)));
	}

	writeTrackFrame(track: Handle, data: Uint8Array, timestamp?: number): number {
		this.#checkSize(data);
		return this.#engine.call((raw) => raw.writeTrackFrame(track, data, timestamp ?? NONE));
	}

	writeDatagram(track: Handle, sequence: number, data: Uint8Array, timestamp?: number): void {
		this.#checkSize(data);
		this.#engine.call((raw) => raw.writeDatagram(track, sequence, data, timestamp ?? NONE));
	}

	finishTrack(track: Handle): void {
		this.#engine.call((raw) => raw.finishTrack(track));
	}

	finishTrackAt(track: Handle, sequence: number): void {
		this.#engine.call((raw) => raw.finishTrackAt(track, sequence));
	}

	abortTrack(track: Handle, error: Rejection): void {
		this.#engine.call((raw) => raw.abortTrack(track, ...reason(error)));
	}

	trackUsed(track: Handle): Operation<void> {
		return this.#engine.start((raw) => raw.trackUsed(track), nothing);
	}

	trackUnused(track: Handle): Operation<void> {
		return this.#engine.start((raw) => raw.trackUnused(track), nothing);
	}

	subscription(track: Handle): SubscriptionData | undefined {
		const text = this.#engine.call((raw) => raw.subscription(track));
		return (JSON.parse(text) as SubscriptionData | null) ?? undefined;
	}

	subscriptionChanged(track: Handle): Operation<SubscriptionData | null> {
		return this.#engine.start((raw) => raw.subscriptionChanged(track), json<SubscriptionData | null>);
	}

	dynamic(of: Handle, prefix = ""): Handle {
		return this.#engine.call((raw) => raw.dynamic(of, prefix));
	}

	nextRequest(handler: Handle): Operation<Asked> {
		return this.#engine.start(
			(raw) => raw.nextRequest(handler),
			(outcome) => {
				const request = handle(outcome);
				const data = JSON.parse(this.#engine.call((raw) => raw.requestData(request))) as RequestData;
				if ("name" in data) data.subscription = this.subscription(request) ?? null;
				return { request, data };
			},
		);
	}

	requestUnused(request: Handle): Operation<void> {
		return this.#engine.start((raw) => raw.requestUnused(request), nothing);
	}

	rejectRequest(request: Handle, error: Rejection): void {
		this.#engine.call((raw) => raw.rejectRequest(request, ...reason(error)));
	}

	acceptBroadcast(request: Handle, broadcast: Handle): void {
		this.#engine.call((raw) => raw.acceptBroadcast(request, broadcast));
	}

	acceptTrack(request: Handle, info: TrackInfoData = {}): Handle {
		return this.#engine.call((raw) => raw.acceptTrack(request, ...properties(info)));
	}

	acceptGroup(request: Handle, info: TrackInfoData = {}): Handle {
		return this.#engine.call((raw) => raw.acceptGroup(request, ...properties(info)));
	}

	connect(transport: OpenTransport, config: ConnectConfig): Operation<Connected> {
		let session: number;
		let operation: number;
		try {
			session = this.#engine.call((raw) => raw.openTransport(transport.protocol, transport.maxDatagramBytes));
			operation = this.#engine.call((raw) =>
				raw.connect(session, config.publish ?? 0, config.consume ?? 0, config.versions.join(" ")),
			);
		} catch (error) {
			transport.discard();
			return refused(error as ErrorData);
		}
		this.#engine.attach(session, transport);
		return this.#engine.track(operation, (outcome) => {
			const session = handle(outcome);
			return { session, version: this.#engine.call((raw) => raw.sessionVersion(session)) as Version };
		});
	}

	sessionClosed(session: Handle): Operation<CloseData> {
		return this.#engine.start((raw) => raw.sessionClosed(session), json<CloseData>);
	}

	closeSession(session: Handle, code: number, reason: string): void {
		this.#engine.call((raw) => raw.closeSession(session, code, reason));
	}

	sessionStats(session: Handle): SessionStatsData {
		return JSON.parse(this.#engine.call((raw) => raw.sessionStats(session))) as SessionStatsData;
	}

	goingAway(session: Handle): Operation<string> {
		return this.#engine.start(
			(raw) => raw.goingAway(session),
			(outcome) => json<{ uri: string }>(outcome).uri,
		);
	}

	rivalAppears(session: Handle): Operation<Handle> {
		return this.#engine.start(
			(raw) => raw.rivalAppears(session),
			(outcome) => json<{ broadcast: Handle }>(outcome).broadcast,
		);
	}

	bandwidthChanged(session: Handle): Operation<void> {
		return this.#engine.start((raw) => raw.bandwidthChanged(session), nothing);
	}

	free(handle: Handle): void {
		this.#engine.free(handle);
	}

	stats(): CoreStats {
		const stats = JSON.parse(this.#engine.call((raw) => raw.stats())) as CoreStats;
		return { ...stats, memoryBytes: this.#engine.memoryBytes };
	}

	close(): void {
		this.#engine.close();
	}

	/** Refused before it is copied: the copy alone could use up the memory of the core. */
	#checkSize(data: Uint8Array): void {
		const max = this.#maxFrame;
		if (data.byteLength <= max) return;
		throw { kind: "too-large", message: `a frame of ${data.byteLength} bytes, above ${max}` } satisfies ErrorData;
	}
}

function reason(error: Rejection): [kind: string, code: number] {
	return "code" in error ? ["", error.code] : [error.kind, NONE];
}

function preferences(prefs: SubscriptionData): [number, boolean, number, number, number, number] {
	return [
		prefs.priority ?? 0,
		prefs.ordered ?? true,
		prefs.maxLatencyMs ?? Number.POSITIVE_INFINITY,
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
