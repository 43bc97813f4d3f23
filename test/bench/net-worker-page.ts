import { install, note, started } from "./meter.ts";

install((where) => {
	const worker = new Worker(new URL("./net-worker.ts", import.meta.url), { type: "module" });
	const failed = new Promise<never>((_, reject) => {
		worker.addEventListener("error", (event) => reject(new Error(event.message || "the worker failed to load")));
		worker.addEventListener("message", ({ data }: MessageEvent<Uint8Array | { error: string }>) => {
			if (data instanceof Uint8Array) note(data);
			else reject(new Error(data.error));
		});
	});
	worker.postMessage(where);
	return Promise.race([started, failed]);
});
