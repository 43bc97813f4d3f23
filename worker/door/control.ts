/** The door of the control plane: each call is checked before the host sees it. */

import * as v from "valibot";
import { asErrorData, failure } from "../failure.ts";
import { type ControlApi, isCommand, type Refusal } from "../protocol/control.ts";
import type { RenderInit } from "../protocol/media.ts";
import { DEFAULT_VERSIONS, type ReconnectData } from "../protocol/model.ts";
import { bytes, check, flag, id, number, platform, port, type Schema, text, whole } from "./schema.ts";
import { broadcastInfo, credit, prefs, rejection, trackInfo } from "./values.ts";

/** Arguments of one call; of those without any, undefined. */
type Args<Name extends keyof ControlApi> = Parameters<ControlApi[Name]> extends [infer Only] ? Only : undefined;

const nothing = v.undefined("takes no arguments");

const reconnect: Schema<ReconnectData> = v.object({
	initialMs: number,
	factor: number,
	jitter: number,
	maxMs: number,
	resetAfterMs: number,
	maxAttempts: v.optional(number),
	giveUpMs: v.optional(number),
});

const version = v.picklist([...DEFAULT_VERSIONS, "moq-lite-07-wip", "moq-lite-05-wip"], "must be a version");

const dial: Schema<Args<"connect">["dial"]> = v.object({
	url: text,
	versions: v.array(version, "must be a list of versions"),
	transport: v.picklist(["auto", "webtransport", "websocket"]),
	serverCertificateHashes: v.optional(v.array(bytes)),
	websocket: v.object({ url: v.optional(text), delayMs: v.optional(number) }),
	asksToken: v.optional(flag),
	reconnect: v.optional(reconnect),
});

/** What drawing needs. */
const render = { canvas: platform("OffscreenCanvas"), pictures: port, events: port, readStamps: flag };

/** As {@link RenderInit}. */
export const renderInit: Schema<RenderInit> = v.object(render);

/** What each call takes. */
export const ARGUMENTS: { readonly [Name in Exclude<keyof ControlApi, "batch">]: Schema<Args<Name>> } = {
	ping: nothing,
	stats: nothing,
	shutdown: nothing,
	createOrigin: v.object({ origin: id }),
	viewOrigin: v.object({
		view: id,
		origin: id,
		by: v.union([v.object({ root: text }), v.object({ prefixes: v.array(text) })], "must have a root or prefixes"),
	}),
	announced: v.object({ stream: id, origin: id, prefix: text, port }),
	requestBroadcast: v.object({ broadcast: id, origin: id, path: text }),
	waitForBroadcast: v.object({ broadcast: id, origin: id, path: text }),
	publish: v.object({ publication: id, origin: id, path: text, broadcast: id }),
	makeBroadcast: v.object({ broadcast: id }),
	createBroadcast: v.object({
		broadcast: id,
		origin: id,
		path: text,
		info: broadcastInfo,
		isPlanned: v.optional(flag),
	}),
	announceBroadcast: v.object({ broadcast: id }),
	consume: v.object({ broadcast: id, producer: id }),
	cloneBroadcast: v.object({ broadcast: id, from: id }),
	broadcastClosed: v.object({ operation: id, broadcast: id }),
	insertTrack: v.object({ broadcast: id, track: id }),
	removeTrack: v.object({ broadcast: id, name: text }),
	track: v.object({ track: id, broadcast: id, name: text }),
	trackInfo: v.object({ operation: id, track: id }),
	trackLatest: v.object({ operation: id, track: id }),
	subscribe: v.object({ subscription: id, track: id, prefs, credit, port }),
	fetchGroup: v.object({
		group: id,
		track: id,
		sequence: whole,
		priority: v.optional(whole),
		frameStart: v.optional(whole),
		credit,
		port,
	}),
	getGroup: v.object({ group: id, track: id, sequence: whole, credit, port }),
	createTrack: v.object({
		producer: id,
		broadcast: id,
		name: text,
		info: trackInfo,
		port,
		steps: v.optional(v.array(v.any())),
	}),
	consumeTrack: v.object({ track: id, producer: id }),
	dynamic: v.object({ dynamic: id, of: id, prefix: v.optional(text) }),
	nextRequest: v.object({ request: id, dynamic: id }),
	requestUnused: v.object({ operation: id, request: id }),
	requestSubscription: v.object({ operation: id, request: id }),
	rejectRequest: v.object({ request: id, error: rejection }),
	acceptBroadcast: v.object({ request: id, broadcast: id }),
	acceptTrack: v.object({ request: id, producer: id, info: trackInfo, port }),
	acceptGroup: v.object({ request: id, group: id, info: trackInfo, port }),
	connect: v.object({ connection: id, dial, publish: v.optional(id), consume: v.optional(id), port }),
	closeConnection: v.object({ connection: id, code: whole, reason: text }),
	connectionStats: v.object({ connection: id }),
	openPlayer: v.object({ player: id, origin: id, broadcast: text, rendition: v.optional(text), pictures: port, port }),
	openRenderer: v.object({ renderer: id, ...render }),
	openPublisher: v.object({ publisher: id, origin: id, broadcast: text, source: v.literal("test-pattern"), port }),
	cancel: v.object({ id }),
	free: v.object({ id }),
};

const batch = v.object({ calls: v.array(v.object({ name: text, args: v.any() }), "must be an array") });

/** The calls of the page on a host, which gets only what it expects. */
export function guarded(host: Omit<ControlApi, "batch">): ControlApi {
	type Call = (args: unknown) => unknown;
	const calls: Record<string, Call> = {};
	for (const name of Object.keys(ARGUMENTS) as (keyof typeof ARGUMENTS)[]) {
		const schema: Schema<unknown> = ARGUMENTS[name];
		calls[name] = (args) => (host[name] as Call)(check(schema, args, name));
	}
	calls.batch = (args) => {
		const refusals: Refusal[] = [];
		check<{ calls: { name: string; args: unknown }[] }>(batch, args, "batch").calls.forEach(({ name, args }, at) => {
			try {
				if (!isCommand(name)) throw failure("usage", "a call of this name may not come in a batch");
				(calls[name] as Call)(args);
			} catch (error) {
				refusals.push({ at, error: asErrorData(error) });
			}
		});
		return refusals;
	};
	return calls as unknown as ControlApi;
}
