/**
 * Comlink, behind one door. Nothing else imports it.
 *
 * It lives between the two sides because both ends of one port must be of one kind. Comlink on its own answers property
 * reads, writes and constructor calls along any path, which hands whoever holds the port the right to run code in the
 * worker; {@link serveControl} lets through only what the control plane is made of.
 */

import { type Endpoint, expose, transfer, wrap } from "comlink";
import { type BatchedCall, CONTROL_METHODS, type ControlApi } from "../protocol/control.ts";
import type { WriteStep } from "../protocol/port.ts";

/** The control plane as the page sees it: every call answers later. */
export type ControlClient = {
	[Name in keyof ControlApi]: (...args: Parameters<ControlApi[Name]>) => Promise<Awaited<ReturnType<ControlApi[Name]>>>;
};

/** True for a one-step call by an allowed name with at most one plain argument, and for the release of the port. */
function isAdmitted(message: unknown): boolean {
	if (typeof message !== "object" || message === null) return false;
	const { type, path, argumentList } = message as { type?: unknown; path?: unknown; argumentList?: unknown };
	if (type === "RELEASE") return path === undefined || (Array.isArray(path) && path.length === 0);
	if (type !== "APPLY" || !Array.isArray(path) || path.length !== 1) return false;
	if (typeof path[0] !== "string" || !Object.hasOwn(CONTROL_METHODS, path[0])) return false;
	// Any other argument than a raw one would run one of Comlink's deserializers before the call.
	return Array.isArray(argumentList) && argumentList.length <= 1 && argumentList.every(isRawArgument);
}

function isRawArgument(argument: unknown): boolean {
	return typeof argument === "object" && argument !== null && (argument as { type?: unknown }).type === "RAW";
}

/** Answer calls on `port` with `api` until the port is released. Everything that is not such a call gets no answer. */
export function serveControl(api: ControlApi, port: MessagePort): void {
	const forwards = new Map<EventListenerOrEventListenerObject, (event: MessageEvent) => void>();
	const endpoint: Endpoint = {
		postMessage: (message, transferables) => port.postMessage(message, transferables ?? []),
		addEventListener(_type, listener) {
			const forward = (event: MessageEvent) => {
				if (!isAdmitted(event.data)) return;
				if (typeof listener === "function") listener(event);
				else listener.handleEvent(event);
			};
			forwards.set(listener, forward);
			port.addEventListener("message", forward);
		},
		removeEventListener(_type, listener) {
			const forward = forwards.get(listener);
			if (forward) port.removeEventListener("message", forward);
			// Comlink closes only what it knows to be a port.
			port.close();
		},
		start: () => port.start(),
	};
	expose(api, endpoint);
}

/** Call the control plane at the other end of `port`. Ports, canvases and payloads found among the arguments of a call are transferred. */
export function controlClient(port: MessagePort): ControlClient {
	type Call = (...args: object[]) => Promise<unknown>;
	const remote = wrap<ControlApi>(port) as unknown as Record<string, Call>;
	const client = new Proxy<Record<string, Call>>(
		{},
		{
			// Each property access on a Comlink proxy makes another proxy and a finalization record: keep one per name.
			get(calls, name: string) {
				const known = calls[name];
				if (known) return known;
				const method = remote[name] as Call;
				const call: Call = (...args) => method(...args.map(withTransfer));
				calls[name] = call;
				return call;
			},
		},
	);
	return client as unknown as ControlClient;
}

function withTransfer(args: object): object {
	const { calls } = args as { calls?: BatchedCall[] };
	const movable = new Set(calls ? calls.flatMap(({ args }) => movables(args)) : movables(args));
	return movable.size > 0 ? transfer(args, [...movable]) : args;
}

/** Ports and canvases, and the payloads of first steps. */
function movables(args: object): Transferable[] {
	const { steps = [] } = args as { steps?: WriteStep[] };
	const payloads = steps.flatMap((step) => ("data" in step ? [step.data.buffer as ArrayBuffer] : []));
	return [...Object.values(args).filter(isMovable), ...payloads];
}

function isMovable(value: unknown): value is MessagePort | OffscreenCanvas {
	// By name: the canvas may be of another realm, and older engines have none.
	return value instanceof MessagePort || Object.prototype.toString.call(value) === "[object OffscreenCanvas]";
}
