import { describe, expect, it, vi } from "vitest";
import type { VideoRendition } from "../../../worker/media/catalog.ts";
import { isSupported, rankRenditions, spellings } from "../../../worker/media/codec.ts";

const rendition = (name: string, more: Partial<VideoRendition> = {}): VideoRendition => ({
	name,
	codec: "vp8",
	container: { kind: "legacy" },
	optimizeForLatency: true,
	stalled: false,
	raw: {},
	...more,
});
const names = (renditions: VideoRendition[], preferred?: string) =>
	rankRenditions(renditions, preferred).map(({ name }) => name);

describe("codec", () => {
	it("offers avc3 under the name of avc1 as well, keeping the suffix", () => {
		expect(spellings("avc3.64001f")).toEqual(["avc3.64001f", "avc1.64001f"]);
		expect(spellings("avc1.64001f")).toEqual(["avc1.64001f"]);
		expect(spellings("hev1.1.6.L93.B0")).toEqual(["hev1.1.6.L93.B0"]);
	});

	it("takes a refusal, an exception and silence as no", async () => {
		expect(await isSupported(Promise.resolve({ supported: true }))).toBe(true);
		expect(await isSupported(Promise.resolve({ supported: false }))).toBe(false);
		expect(await isSupported(Promise.reject(new TypeError("one of the aspect pair is missing")))).toBe(false);
		vi.useFakeTimers();
		const silent = isSupported(new Promise(() => {}));
		await vi.runAllTimersAsync();
		expect(await silent).toBe(false);
		vi.useRealTimers();
	});

	it("prefers the rendition asked for, then unstalled, larger, faster ones", () => {
		const sd = rendition("sd", { codedWidth: 640, codedHeight: 360 });
		const hd = rendition("hd", { codedWidth: 1280, codedHeight: 720, bitrate: 1 });
		const rich = rendition("rich", { codedWidth: 1280, codedHeight: 720, bitrate: 2 });
		const stalled = rendition("stalled", { codedWidth: 1920, codedHeight: 1080, stalled: true });
		const list = [sd, stalled, hd, rich];
		expect(names(list)).toEqual(["rich", "hd", "sd", "stalled"]);
		expect(names(list, "sd")[0]).toBe("sd");
		expect(names(list, "stalled")[0]).toBe("stalled");
		expect(names(list, "gone")[0]).toBe("rich");
	});
});
