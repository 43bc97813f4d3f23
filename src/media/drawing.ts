import type { RoleRenderInit } from "../../worker/protocol/boot.ts";
import type { RenderEvent, RenderRequest } from "../../worker/protocol/media.ts";
import { BUILD_VERSION } from "../../worker/protocol/version.ts";
import { Anchor } from "../handle/anchor.ts";
import { errorFrom, failure, MoqError, usage } from "../handle/error.ts";
import { Heartbeat } from "../link/heartbeat.ts";
import type { Link } from "../link/link.ts";
import { spawn } from "../link/spawn.ts";
import { startWorker } from "../link/start.ts";

type DrawnEvent = Extract<RenderEvent, { type: "drawn" }>;

/** What {@link startDrawing} tells its owner. */
export interface DrawingEvents {
	drawn(event: DrawnEvent): void;
	/** Nothing more is drawn. Last event. */
	failed(error: MoqError): void;
}

/** Somewhere pictures are drawn. */
export interface Drawing {
	/** Where pictures go: for a player. */
	readonly pictures: MessagePort;
	/** Stops; the last picture stays on the canvas. */
	close(): void;
}

/**
 * Takes the canvas over and draws on it in a worker of its own, or in the core worker where the runtime was given one
 * ready-made worker. Throws a `UsageError` when the canvas cannot be taken over.
 */
export function startDrawing(
	link: Link,
	element: HTMLCanvasElement,
	readStamps: boolean,
	told: DrawingEvents,
): Drawing {
	const pictures = new MessageChannel();
	const events = new MessageChannel();
	let answered: (() => void) | undefined;
	events.port1.onmessage = ({ data }: MessageEvent<RenderEvent>) => {
		switch (data.type) {
			case "alive":
				return answered?.();
			case "drawn":
				return told.drawn(data);
			case "failed":
				return told.failed(errorFrom(data.error));
			default:
				data satisfies never;
		}
	};
	const canvas = takeOver(element);
	const render = { canvas, pictures: pictures.port2, events: events.port2, readStamps };
	const { source } = link;
	if (source instanceof Worker) {
		const anchor = new Anchor(link, "renderer");
		anchor.onEnd((error) => error && told.failed(error));
		anchor.make("openRenderer", { renderer: anchor.id, ...render });
		return {
			pictures: pictures.port1,
			close() {
				events.port1.close();
				anchor.close();
			},
		};
	}

	const controller = new AbortController();
	const { signal } = controller;
	// A worker that is terminated, by a browser that is short of memory for one, says nothing.
	const heartbeat = new Heartbeat({
		ping: () =>
			new Promise((resolve) => {
				answered = resolve;
				events.port1.postMessage({ type: "ping" } satisfies RenderRequest);
			}),
		isNeeded: () => true,
		dead: (error) => failed(error),
	});
	signal.addEventListener("abort", () => heartbeat.stop());
	const failed = (error: unknown): void => {
		if (signal.aborted) return;
		controller.abort();
		const message = error instanceof Error ? error.message : String(error);
		told.failed(error instanceof MoqError ? error : failure("worker-load", message));
	};
	const start = async (): Promise<void> => {
		const spawned = await spawn(source, "moq-worker render", signal);
		signal.addEventListener("abort", () => spawned.worker.terminate());
		if (signal.aborted) {
			spawned.worker.terminate();
			return;
		}
		const message: RoleRenderInit = { type: "init", role: "render", version: BUILD_VERSION, render };
		// The render worker owns the canvas and its ports from here on.
		const transfer = [render.canvas, render.pictures, render.events];
		await startWorker(spawned, { message, transfer }, signal, failed);
		if (!signal.aborted) heartbeat.wake();
	};
	start().catch(failed);
	return {
		pictures: pictures.port1,
		close() {
			events.port1.close();
			controller.abort();
		},
	};
}

function takeOver(canvas: HTMLCanvasElement): OffscreenCanvas {
	try {
		return canvas.transferControlToOffscreen();
	} catch {
		throw usage("canvas has a context already or belongs to another player: give each player a fresh one");
	}
}
