// Messages that no page of this build sends, on the ports of media: the object they belong to ends, and the worker goes on.
import { afterEach, expect, test } from "vitest";
import type { BootMessage, CoreInit } from "../../../worker/protocol/boot.ts";
import { BUILD_VERSION } from "../../../worker/protocol/version.ts";
import { type ControlClient, controlClient } from "../../../worker/rpc/comlink.ts";

const workers: Worker[] = [];

afterEach(() => {
	for (const worker of workers.splice(0)) worker.terminate();
});

/** A worker with the bare control plane in front of it, and an origin under 1. */
async function started(): Promise<{ control: ControlClient; crashes: string[] }> {
	const file = (name: string) => new URL(`/dist/${name}`, location.href).href;
	const worker = new Worker(file("worker.js"), { type: "module" });
	workers.push(worker);
	const crashes: string[] = [];
	worker.onerror = (event) => {
		event.preventDefault();
		crashes.push(event.message);
	};
	const { port1, port2 } = new MessageChannel();
	await new Promise<void>((resolve, reject) => {
		worker.onmessage = ({ data }: MessageEvent<BootMessage>) => {
			if (data.type === "ready") {
				const wasm = { explicit: file("core_bg.wasm") };
				const init: CoreInit = { type: "init", role: "core", version: BUILD_VERSION, wasm, control: port2 };
				worker.postMessage(init, [port2]);
			} else if (data.type === "started") resolve();
			else if (data.type === "failed") reject(new Error(data.error.message));
			else crashes.push(data.error.message);
		};
	});
	const control = controlClient(port1);
	await control.createOrigin({ origin: 1 });
	return { control, crashes };
}

/** The first message on a port that says how what it belongs to ended. */
function failed(port: MessagePort): Promise<unknown> {
	return new Promise((resolve) => {
		port.onmessage = ({ data }) => {
			if (data.error) resolve(data);
		};
	});
}

const WRONG = [null, 5n, "done", [], {}, { type: "done now" }, { type: "report", id: 1n }];

test.each(WRONG)("a player ends when %s comes on a port of it", async (message) => {
	for (const which of ["port", "pictures"] as const) {
		const { control, crashes } = await started();
		const [events, pictures] = [new MessageChannel(), new MessageChannel()];
		const error = failed(events.port1);
		const ports = { port: events.port2, pictures: pictures.port2 };
		await control.openPlayer({ player: 2, origin: 1, broadcast: "room", ...ports });
		(which === "port" ? events : pictures).port1.postMessage(message);
		expect(await error).toMatchObject({ type: "error", error: { kind: "usage" } });
		await control.free({ id: 2 });
		expect(await control.stats()).toMatchObject({ ids: { origin: 1 } });
		expect(crashes).toEqual([]);
	}
});

test.each([...WRONG, { type: "picture", frame: {} }])(
	"a renderer ends when %s comes on a port of it",
	async (message) => {
		for (const which of ["events", "pictures"] as const) {
			const { control, crashes } = await started();
			const [events, pictures] = [new MessageChannel(), new MessageChannel()];
			const error = failed(events.port1);
			const ports = { events: events.port2, pictures: pictures.port2 };
			await control.openRenderer({ renderer: 2, canvas: new OffscreenCanvas(2, 2), ...ports, readStamps: false });
			(which === "events" ? events : pictures).port1.postMessage(message);
			expect(await error).toMatchObject({ type: "failed", error: { kind: "usage" } });
			await control.free({ id: 2 });
			expect(await control.stats()).toMatchObject({ ids: { origin: 1 } });
			expect(crashes).toEqual([]);
		}
	},
);
