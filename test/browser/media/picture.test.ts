import { afterEach, expect, it } from "vitest";
import type { DrawnPicture, RenderEvent, RenderInit } from "../../../worker/protocol/media.ts";

const cleanup: (() => void)[] = [];
afterEach(() => {
	for (const undo of cleanup.splice(0)) undo();
});

/** Encoder → decoder in one worker, drawing in another, as the SDK arranges them. */
function startLoop() {
	const canvas = document.createElement("canvas");
	document.body.append(canvas);
	const pictures = new MessageChannel();
	const events = new MessageChannel();
	const render = new Worker(new URL("../../support/workers/render.ts", import.meta.url), { type: "module" });
	const loop = new Worker(new URL("../../support/workers/pattern-loop.ts", import.meta.url), { type: "module" });
	const errors: string[] = [];
	const drawn: DrawnPicture[] = [];
	let codec = "";
	let last: Extract<RenderEvent, { type: "drawn" }> | undefined;
	let report: ((data: { encoded: number; decoded: number; longestGapMs: number }) => void) | undefined;
	for (const worker of [render, loop]) worker.onerror = (event) => errors.push(event.message);
	events.port1.onmessage = ({ data }: MessageEvent<RenderEvent>) => {
		if (data.type !== "drawn") return;
		drawn.push(...data.pictures);
		last = data;
	};
	loop.onmessage = ({ data }) => {
		if (data.type === "error") errors.push(data.message);
		else if (data.type === "encoder") codec = data.codec;
		else report?.(data);
	};
	const offscreen = canvas.transferControlToOffscreen();
	const init: RenderInit = { canvas: offscreen, pictures: pictures.port2, events: events.port2, readStamps: true };
	render.postMessage(init, [offscreen, pictures.port2, events.port2]);
	loop.postMessage({ type: "start", pictures: pictures.port1 }, [pictures.port1]);
	cleanup.push(() => {
		render.terminate();
		loop.terminate();
		canvas.remove();
	});
	return {
		drawn,
		errors,
		codec: () => codec,
		last: () => last,
		report: (fromMs: number, toMs: number) =>
			new Promise<{ encoded: number; decoded: number; longestGapMs: number }>((resolve) => {
				report = resolve;
				loop.postMessage({ type: "report", fromMs, toMs });
			}),
	};
}

const epochMs = () => performance.timeOrigin + performance.now();

it("reads frame number and latency back from pictures that went through encoder, decoder and canvas", async () => {
	const loop = startLoop();
	await expect.poll(() => loop.drawn.length, { timeout: 15_000 }).toBeGreaterThan(90);
	expect(loop.errors).toEqual([]);
	expect(loop.codec()).toMatch(/^(avc1|vp8)/);
	expect(loop.last()).toMatchObject({ width: 640, height: 360 });
	const read = loop.drawn.filter((picture) => picture.counter !== undefined);
	expect(read.length).toBe(loop.drawn.length);
	const counters = read.map((picture) => picture.counter ?? -1);
	expect(new Set(counters).size).toBe(counters.length);
	expect([...counters].sort((a, b) => a - b)).toEqual(counters);
	const latencies = read.map((picture) => picture.latencyMs ?? -1).sort((a, b) => a - b);
	expect(latencies[0]).toBeGreaterThanOrEqual(0);
	expect(latencies[Math.floor(latencies.length / 2)]).toBeLessThan(500);
});

it("decodes on while the page is blocked for a second", async () => {
	const loop = startLoop();
	await expect.poll(() => loop.drawn.length, { timeout: 15_000 }).toBeGreaterThan(30);
	const fromMs = epochMs();
	while (epochMs() < fromMs + 1000);
	const report = await loop.report(fromMs, fromMs + 1000);
	expect(loop.errors).toEqual([]);
	expect(report.encoded).toBeGreaterThan(15);
	expect(report.decoded).toBeGreaterThanOrEqual(report.encoded - 2);
	expect(report.longestGapMs).toBeLessThan(500);
});
