// The render role by itself, started from its sources.
import { startRender } from "../../../worker/media/render.ts";
import type { RenderInit } from "../../../worker/protocol/media.ts";

self.onmessage = ({ data }: MessageEvent<RenderInit>) => {
	startRender(data);
};
