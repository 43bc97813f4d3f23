import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { load } from "../../../worker/core/load.ts";
import type { ErrorData } from "../../../worker/protocol/error.ts";
import { Announcements, Collector, kindOf, startCore } from "../../support/core.ts";

// A file of its own: a crash takes the wasm instance of its module down for good.
test("a crash rejects everything that waits, is reported once, and no call works again", async () => {
	const fatal: ErrorData[] = [];
	const core = await startCore((error) => fatal.push(error));
	const origin = core.createOrigin();
	const broadcast = core.createBroadcast(origin, "doomed");
	const track = core.createTrack(broadcast, "data");
	const sink = new Collector();
	const { handle, result } = core.subscribe(core.consumeTrack(track), {}, sink);
	await result;
	const announcements = new Announcements();
	core.announced(origin, "", announcements);
	const waiting = core.waitForBroadcast(origin, "never").result;

	const wasm = readFileSync(new URL("../../../wasm/bindings/pkg/core_bg.wasm", import.meta.url));
	const { memory } = await load([wasm]);
	// What a wild write would do: after this the core cannot get far.
	new Uint8Array(memory.buffer).fill(0xff);
	for (let call = 0; call < 100 && fatal.length === 0; call++) {
		await kindOf(() => core.writeTrackFrame(track, new Uint8Array(100)));
	}

	expect(fatal).toHaveLength(1);
	expect(fatal[0]).toMatchObject({ kind: "worker-crashed" });
	expect(await kindOf(() => waiting)).toBe("worker-crashed");
	expect(sink.ended?.error?.kind).toBe("worker-crashed");
	expect(announcements.ended).toBe(true);
	for (const call of [
		() => core.createOrigin(),
		() => core.grant(handle, 1, 1),
		() => core.trackUsed(track).result,
		() => core.stats(),
	]) {
		expect(await kindOf(call)).toBe("worker-crashed");
	}
	core.close();
	expect(fatal).toHaveLength(1);
});
