// A worker that encodes the test pattern and decodes it again without a network in between: everything of the media path
// but the core. Its first message brings the port to the render worker; afterwards it answers questions about itself.

import { epochMs } from "../../../worker/media/clock.ts";
import type { QueuedSample } from "../../../worker/media/group-queue.ts";
import { LegacyDemuxer, legacyFrame } from "../../../worker/media/legacy.ts";
import { PictureDecoder } from "../../../worker/media/picture-decoder.ts";
import { chooseEncoder, PictureEncoder } from "../../../worker/media/picture-encoder.ts";
import { PictureSender } from "../../../worker/media/picture-sender.ts";
import { PATTERN, TestPattern } from "../../../worker/media/test-pattern.ts";
import { Timeline } from "../../../worker/media/timeline.ts";

interface Start {
	type: "start";
	pictures: MessagePort;
}
interface Report {
	type: "report";
	fromMs: number;
	toMs: number;
}

const encoded = new Timeline();
const decoded = new Timeline();

self.onmessage = async ({ data }: MessageEvent<Start | Report>) => {
	if (data.type === "report") {
		const { fromMs, toMs } = data;
		self.postMessage({
			type: "report",
			encoded: encoded.between(fromMs, toMs).length,
			decoded: decoded.between(fromMs, toMs).length,
			longestGapMs: decoded.longestGap(fromMs, toMs),
		});
		return;
	}
	const choice = await chooseEncoder(PATTERN);
	if (!choice) throw new Error("no encoder works in this browser");
	const sender = new PictureSender(data.pictures, ({ message }) => self.postMessage({ type: "error", message }));
	const demuxer = new LegacyDemuxer();
	const fail = (cause: DOMException) => self.postMessage({ type: "error", message: cause.message });
	const decoder = new PictureDecoder(
		{ codec: choice.codec, optimizeForLatency: true },
		{
			picture: (frame) => {
				decoded.add(epochMs());
				sender.send(frame);
			},
			room: () => {},
			restarting: fail,
			failed: fail,
		},
	);
	let sequence = -1;
	const encoder = new PictureEncoder(choice.config, {
		chunk: (chunk) => {
			encoded.add(epochMs());
			if (chunk.type === "key") sequence++;
			const frame = legacyFrame(chunk.timestamp, chunk.byteLength, (payload) => chunk.copyTo(payload));
			for (const sample of demuxer.samples(frame))
				decoder.decode({ sample, sequence, isFirst: chunk.type === "key" } satisfies QueuedSample);
		},
		failed: fail,
	});
	self.postMessage({ type: "encoder", codec: choice.codec });
	const pattern = new TestPattern();
	const intervalMs = 1000 / PATTERN.framerate;
	const startMs = performance.now();
	for (let tick = 1; ; tick++) {
		encoder.encode(pattern.capture(Math.round(performance.now() * 1000), Math.round(intervalMs * 1000)));
		await new Promise((resolve) => setTimeout(resolve, startMs + tick * intervalMs - performance.now()));
	}
};
