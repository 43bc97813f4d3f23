import type { Asked, CoreApi, Handle, Operation } from "../core/api.ts";
import { asErrorData } from "../failure.ts";
import { Player } from "../media/player.ts";
import { Publisher } from "../media/publisher.ts";
import { startRender } from "../media/render.ts";
import type { ControlApi, Id, WorkerStats } from "../protocol/control.ts";
import type {
	BroadcastInfoData,
	RequestData,
	SessionStatsData,
	SubscriptionData,
	TrackInfoData,
} from "../protocol/model.ts";
import type { ConnectedData } from "../protocol/port.ts";
import { AnnouncedEntry } from "./announced.ts";
import type { Place } from "./attach.ts";
import { BroadcastEntry, type BroadcastRecipe, ProducerEntry, PublicationEntry } from "./broadcast.ts";
import { ConnectionEntry } from "./connection/connection.ts";
import { tellFate, tellUnreadable } from "./connection/fate.ts";
import type { Dial } from "./connection/session.ts";
import { HandlerEntry, RequestEntry } from "./dynamic.ts";
import { OriginEntry } from "./origin.ts";
import { PublishedGroup } from "./published-group.ts";
import { PublishedTrack } from "./published-track.ts";
import { GroupEntry, SubscriptionEntry } from "./reader.ts";
import { type GuestEntry, Table } from "./table.ts";
import { TrackEntry } from "./track.ts";

/** Arguments of one call. */
type Args<Name extends keyof ControlApi> = Parameters<ControlApi[Name]> extends [infer Only] ? Only : never;

/**
 * The control plane over a core: resolves ids, makes entries, and lets go of them. What belongs to one noun is in its
 * entry's file; here is only what joins them.
 */
export class Host implements Omit<ControlApi, "batch"> {
	readonly #core: CoreApi;
	readonly #dial: Dial;
	readonly #table = new Table();
	/** Connections whose peers are being told that they end. */
	readonly #farewells = new Set<Promise<void>>();

	/** `core` is the host's from now on; `dial` opens transports. */
	constructor(core: CoreApi, dial: Dial) {
		this.#core = core;
		this.#dial = dial;
	}

	ping(): void {
		// That it is answered says everything.
	}

	stats(): WorkerStats {
		return { ...this.#core.stats(), ids: this.#table.counts() };
	}

	createOrigin({ origin }: Args<"createOrigin">): void {
		this.#table.make(origin, () => new OriginEntry(this.#core, this.#core.createOrigin(), { by: "page" }));
	}

	viewOrigin({ view, origin, by }: Args<"viewOrigin">): void {
		this.#table.make(view, () => {
			const { core } = this.#table.get(origin, "origin");
			const handle = "root" in by ? this.#core.rootOrigin(core, by.root) : this.#core.scopeOrigin(core, by.prefixes);
			return new OriginEntry(this.#core, handle, { by: "view", origin, view: by });
		});
	}

	announced({ stream, origin, prefix, port: to }: Args<"announced">): void {
		this.#table.make(stream, () => {
			const { core } = this.#table.get(origin, "origin");
			const desk = {
				isUsable: (id: Id) => this.#table.isUsable(id),
				deliver: (id: Id, broadcast: Handle, path: string) => {
					this.#table.make(id, () => this.#broadcast(broadcast, { by: "announcement", origin, path }));
				},
			};
			tellUnreadable(this.#table, origin, prefix, true);
			return new AnnouncedEntry(this.#core, core, { origin, prefix }, to, desk);
		});
	}

	requestBroadcast({ broadcast, origin, path }: Args<"requestBroadcast">): Promise<BroadcastInfoData> {
		const start = () => this.#core.requestBroadcast(this.#table.get(origin, "origin").core, path);
		return this.#found(broadcast, start, { by: "request", origin, path });
	}

	waitForBroadcast({ broadcast, origin, path }: Args<"waitForBroadcast">): Promise<BroadcastInfoData> {
		const start = () => this.#core.waitForBroadcast(this.#table.get(origin, "origin").core, path);
		const found = this.#found(broadcast, start, { by: "wait", origin, path });
		const stop = tellUnreadable(this.#table, origin, path, false);
		found.then(stop, stop);
		return found;
	}

	publish({ publication, origin, path, broadcast }: Args<"publish">): void {
		this.#table.make(publication, () => {
			const to = this.#table.get(origin, "origin").core;
			const from = this.#table.get(broadcast, "broadcast").core;
			const guard = this.#core.publish(to, path, from);
			return new PublicationEntry(this.#core, guard, { origin, path, broadcast });
		});
	}

	createBroadcast({ broadcast, origin, path, info, isPlanned }: Args<"createBroadcast">): void {
		this.#table.make(broadcast, () => {
			const { core } = this.#table.get(origin, "origin");
			const handle = this.#core.createBroadcast(core, path, info.hops, isPlanned === true);
			return new ProducerEntry(this.#core, handle, { broadcast, origin, path, info });
		});
		if (isPlanned !== true) tellFate(this.#table, broadcast);
	}

	announceBroadcast({ broadcast }: Args<"announceBroadcast">): void {
		this.#core.announceBroadcast(this.#table.get(broadcast, "producer").core);
		tellFate(this.#table, broadcast);
	}

	makeBroadcast({ broadcast }: Args<"makeBroadcast">): void {
		this.#table.make(broadcast, () => new ProducerEntry(this.#core, this.#core.makeBroadcast(), undefined));
	}

	insertTrack({ broadcast, track }: Args<"insertTrack">): void {
		const { core } = this.#table.get(broadcast, "producer");
		this.#core.insertTrack(core, this.#table.oneOf(track, ["track", "published-track"]).core);
	}

	removeTrack({ broadcast, name }: Args<"removeTrack">): void {
		this.#core.removeTrack(this.#table.get(broadcast, "producer").core, name);
	}

	consume({ broadcast, producer }: Args<"consume">): void {
		this.#table.make(broadcast, () => {
			const { core } = this.#table.get(producer, "producer");
			return this.#broadcast(this.#core.consume(core), { by: "producer", producer });
		});
	}

	cloneBroadcast({ broadcast, from }: Args<"cloneBroadcast">): void {
		this.#table.make(broadcast, () => this.#table.get(from, "broadcast").clone());
	}

	async broadcastClosed({ operation, broadcast }: Args<"broadcastClosed">): Promise<void> {
		const start = () => this.#core.broadcastClosed(this.#table.get(broadcast, "broadcast").core);
		throw await this.#table.wait(operation, start, (cause) => ({ result: cause }));
	}

	track({ track, broadcast, name }: Args<"track">): void {
		this.#table.make(track, () => {
			const { core, recipe } = this.#table.get(broadcast, "broadcast");
			const handle = this.#core.track(core, name);
			return new TrackEntry(this.#core, handle, { broadcast, name, place: this.#place(core, recipe, name) });
		});
	}

	trackInfo({ operation, track }: Args<"trackInfo">): Promise<TrackInfoData> {
		const start = () => this.#core.trackInfo(this.#table.get(track, "track").core);
		return this.#table.wait(operation, start, (info) => ({ result: info }));
	}
	trackLatest({ operation, track }: Args<"trackLatest">): Promise<number | null> {
		const start = () => this.#core.trackLatest(this.#table.get(track, "track").core);
		return this.#table.wait(operation, start, (latest) => ({ result: latest }));
	}

	async subscribe({ subscription, track, prefs, credit, port: to }: Args<"subscribe">): Promise<TrackInfoData> {
		this.#table.make(subscription, () => {
			const { core, recipe: by } = this.#table.get(track, "track");
			const recipe = { track, prefs, place: by.place && { ...by.place } };
			return new SubscriptionEntry({ api: this.#core, table: this.#table }, core, recipe, {
				port: to,
				credit,
			});
		});
		return await this.#table.get(subscription, "subscription").confirmed;
	}

	fetchGroup(args: Args<"fetchGroup">): Promise<void> {
		const { group, track, sequence, priority, frameStart } = args;
		const data = { port: args.port, credit: args.credit };
		const options = {
			...(priority === undefined ? {} : { priority }),
			...(frameStart === undefined ? {} : { frameStart }),
		};
		const start = () => {
			const { core } = this.#table.get(track, "track");
			return this.#core.fetchGroup(core, sequence, options, GroupEntry.sink(data.port));
		};
		const settle = (handle: Handle) => ({
			entry: new GroupEntry(this.#core, handle, { track, sequence }, data),
			result: undefined,
		});
		return this.#table.wait(group, start, settle, (handle) => this.#core.free(handle));
	}

	getGroup({ group, track, sequence, credit, port: to }: Args<"getGroup">): boolean {
		this.#table.checkFree(group);
		const data = { port: to, credit };
		const { core } = this.#table.get(track, "track");
		const handle = this.#core.getGroup(core, sequence, GroupEntry.sink(data.port));
		if (handle === undefined) {
			data.port.close();
			return false;
		}
		this.#table.make(group, () => new GroupEntry(this.#core, handle, { track, sequence }, data));
		return true;
	}

	createTrack({ producer, broadcast, name, info, port: to, steps = [] }: Args<"createTrack">): void {
		this.#table.make(producer, () => {
			const { core } = this.#table.get(broadcast, "producer");
			const recipe = { broadcast, name, info };
			const track = new PublishedTrack(this.#core, this.#core.createTrack(core, name, info), recipe, to);
			track.write(steps);
			return track;
		});
	}

	consumeTrack({ track, producer }: Args<"consumeTrack">): void {
		this.#table.make(track, () => {
			const { core } = this.#table.get(producer, "published-track");
			return new TrackEntry(this.#core, this.#core.consumeTrack(core), { published: producer, place: undefined });
		});
	}

	dynamic({ dynamic, of, prefix }: Args<"dynamic">): void {
		this.#table.make(dynamic, () => {
			const { core } = this.#table.oneOf(of, ["origin", "producer", "published-track", "request"]);
			const recipe = { of, ...(prefix === undefined ? {} : { prefix }) };
			return new HandlerEntry(this.#core, this.#core.dynamic(core, recipe.prefix), recipe);
		});
	}

	nextRequest({ request, dynamic }: Args<"nextRequest">): Promise<RequestData> {
		const start = () => this.#core.nextRequest(this.#table.get(dynamic, "dynamic").core);
		const settle = ({ request: core, data }: Asked) => ({
			entry: new RequestEntry(this.#core, core, { dynamic }),
			result: data,
		});
		return this.#table.wait(request, start, settle, (asked) => this.#core.free(asked.request));
	}

	requestUnused({ operation, request }: Args<"requestUnused">): Promise<void> {
		const start = () => this.#core.requestUnused(this.#table.get(request, "request").core);
		return this.#table.wait(operation, start, () => ({ result: undefined }));
	}

	requestSubscription({ operation, request }: Args<"requestSubscription">): Promise<SubscriptionData | null> {
		const start = () => this.#core.subscriptionChanged(this.#table.get(request, "request").core);
		return this.#table.wait(operation, start, (subscription) => ({ result: subscription }));
	}

	rejectRequest({ request, error }: Args<"rejectRequest">): void {
		this.#core.rejectRequest(this.#table.get(request, "request").core, error);
		this.#table.forget(request);
	}

	acceptBroadcast({ request, broadcast }: Args<"acceptBroadcast">): void {
		const { core } = this.#table.get(request, "request");
		this.#core.acceptBroadcast(core, this.#table.oneOf(broadcast, ["broadcast", "producer"]).core);
		this.#table.forget(request);
	}

	acceptTrack({ request, producer, info, port: to }: Args<"acceptTrack">): void {
		this.#table.make(producer, () => {
			const { core } = this.#table.get(request, "request");
			// What the page does with the track in this turn arrives later: until then nobody is told that a group is not there.
			const grace = this.#core.dynamic(core);
			try {
				const track = this.#core.acceptTrack(core, info);
				this.#table.forget(request);
				return new PublishedTrack(this.#core, track, { request, info }, to, grace);
			} catch (error) {
				this.#core.free(grace);
				throw error;
			}
		});
	}

	acceptGroup({ request, group, info, port: to }: Args<"acceptGroup">): void {
		this.#table.make(group, () => {
			const { core } = this.#table.get(request, "request");
			try {
				const handle = this.#core.acceptGroup(core, info);
				this.#table.forget(request);
				return new PublishedGroup(this.#core, handle, { request }, to);
			} catch (error) {
				// Unless the call was wrong, the request is answered all the same: the group has come, or the track is over.
				if (asErrorData(error).kind !== "usage") this.#table.forget(request);
				throw error;
			}
		});
	}

	async connect({ connection, dial, publish, consume, port: to }: Args<"connect">): Promise<ConnectedData> {
		const origins: { publish?: Handle; consume?: Handle } = {};
		if (publish !== undefined) origins.publish = this.#table.get(publish, "origin").core;
		if (consume !== undefined) origins.consume = this.#table.get(consume, "origin").core;
		const recipe = {
			dial,
			...(publish === undefined ? {} : { publish }),
			...(consume === undefined ? {} : { consume }),
		};
		const made = { recipe, port: to, dial: this.#dial, origins };
		const entry = new ConnectionEntry(this.#core, made, () => this.#table.all("producer"));
		this.#table.make(connection, () => entry);
		try {
			return await entry.connect();
		} catch (error) {
			this.#table.cancel(connection);
			throw error;
		}
	}

	async closeConnection({ connection, code, reason }: Args<"closeConnection">): Promise<void> {
		const entry = this.#table.get(connection, "connection");
		// The id is free from now on; the entry lets go of itself when the peer was told.
		this.#table.forget(connection);
		const farewell = entry.close(code, reason);
		this.#farewells.add(farewell);
		try {
			await farewell;
		} finally {
			this.#farewells.delete(farewell);
		}
	}

	connectionStats({ connection }: Args<"connectionStats">): SessionStatsData {
		return this.#table.get(connection, "connection").stats();
	}

	openPlayer(args: Args<"openPlayer">): void {
		this.#guest(args.player, args.origin, (origin) => new Player(this.#core, origin, args));
	}

	openRenderer(args: Args<"openRenderer">): void {
		this.#table.make(args.renderer, () => guest(startRender(args)));
	}

	openPublisher(args: Args<"openPublisher">): void {
		this.#guest(args.publisher, args.origin, (origin) => new Publisher(this.#core, origin, args));
	}

	async shutdown(): Promise<void> {
		// Each gives its peer a moment to hear of it, and no more.
		const farewells = this.#table.all("connection").map((connection) => connection.close(0, ""));
		await Promise.all([...farewells, ...this.#farewells]);
		this.#table.clear();
		this.#core.close();
	}

	cancel({ id }: Args<"cancel">): void {
		this.#table.cancel(id);
	}

	free({ id }: Args<"free">): void {
		this.#table.free(id);
	}

	#broadcast(handle: Handle, recipe: BroadcastRecipe): BroadcastEntry {
		return new BroadcastEntry(this.#core, handle, recipe);
	}

	#found(id: Id, start: () => Operation<Handle>, recipe: BroadcastRecipe): Promise<BroadcastInfoData> {
		const settle = (handle: Handle) => ({
			entry: this.#broadcast(handle, recipe),
			result: this.#core.broadcastInfo(handle),
		});
		return this.#table.wait(id, start, settle, (handle) => this.#core.free(handle));
	}

	/** Where a track is found again when the broadcast has another instance; undefined: it has none. */
	#place(broadcast: Handle, recipe: BroadcastRecipe, name: string): Place | undefined {
		if (recipe.by === "producer") return undefined;
		const { origin, path } = recipe;
		return { origin, path, name, publisher: this.#core.broadcastInfo(broadcast).hops[0] };
	}

	/** A guest has a view of the origin for itself, which the page cannot close under it. */
	#guest(id: Id, origin: Id, open: (origin: Handle) => Guest): void {
		this.#table.make(id, () => {
			const view = this.#core.rootOrigin(this.#table.get(origin, "origin").core, "");
			try {
				return guest(open(view), () => this.#core.free(view));
			} catch (error) {
				this.#core.free(view);
				throw error;
			}
		});
	}
}

/** What another room opens, and lets go of by itself. */
interface Guest {
	close(): void;
}

function guest(opened: Guest, after: () => void = () => undefined): GuestEntry {
	return {
		type: "guest",
		release: () => {
			opened.close();
			after();
		},
	};
}
