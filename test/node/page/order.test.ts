// Reading in sequence across a session, version by version.
import { afterEach, expect, test } from "vitest";
import type { Version } from "../../../worker/protocol/model.ts";
import { type CorePage, joined } from "../../support/core-page.ts";

const VERSIONS: Version[] = ["moq-lite-03", "moq-lite-04", "moq-lite-05", "moq-lite-06"];

const open: CorePage[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((page) => page.close()));
});

/** Two pages with a session between them, and a broadcast of one as the other finds it. */
async function across(version: Version) {
	const { left, right, near, far } = await joined(version);
	open.push(left, right);
	const broadcast = near.createBroadcast("room");
	return { left, broadcast, found: await far.waitForBroadcast("room") };
}

/** The most that joining a running track may cost, ms, and the tries of which the best counts: the machine may be busy. */
const JOIN_MS = 150;
const TRIES = 3;

test.each(VERSIONS)("%s: joining a running track costs little", async (version) => {
	const { left, broadcast, found } = await across(version);
	const times: number[] = [];
	for (let attempt = 0; attempt < TRIES; attempt++) {
		const name = `data ${attempt}`;
		const written = broadcast.createTrack(name);
		for (let sequence = 0; sequence < 20; sequence++) written.writeFrame(`${sequence}`);
		// They are in the core.
		await left.runtime.stats();
		const begin = performance.now();
		const subscriber = await found.track(name).subscribe();
		const frame = await subscriber.readFrame();
		times.push(performance.now() - begin);
		// All that is cached where the version can say so, else the newest.
		expect(frame?.text()).toBe(version === "moq-lite-06" ? "0" : "19");
	}
	expect(Math.min(...times)).toBeLessThan(JOIN_MS);
});

test.each(VERSIONS)("%s: a hole in the numbers costs one wait and is told", async (version) => {
	const { left, broadcast, found } = await across(version);
	const written = broadcast.createTrack("data");
	await left.runtime.stats();
	const subscriber = await found.track("data").subscribe({ maxLatencyMs: 200 });
	await written.used();
	const seen: unknown[] = [];
	subscriber.addEventListener("gap", ({ detail: { from, to } }) => seen.push([from, to]));
	for (const sequence of [0, 1, 3, 4, 7]) written.createGroup(sequence).finish();
	written.finish();
	for await (const group of subscriber) seen.push(group.sequence);
	expect(seen).toEqual([0, 1, [2, 2], 3, 4, [5, 6], 7]);
	expect(subscriber.stats()).toEqual({ groups: 5, gaps: 2, missing: 3 });
});

test.each(VERSIONS)("%s: the publisher is asked for all that it keeps, in order", async (version) => {
	const { left, broadcast, found } = await across(version);
	const requests = broadcast.dynamic();
	await left.runtime.stats();
	const track = found.track("data");
	const subscribing = [track.subscribe(), track.subscribe({ maxLatencyMs: Number.POSITIVE_INFINITY })];
	// Not accepted yet, so it is not known how long it keeps groups; from 05 on nothing is asked for before that.
	const request = await requests.requestedTrack();
	const isOrdered = version !== "moq-lite-06" ? { ordered: true } : {};
	if (version < "moq-lite-05") expect(request.subscription).toMatchObject({ maxLatencyMs: 5000, ...isOrdered });
	const written = request.accept({ cacheMs: 2000 });
	await Promise.all(subscribing);
	await expect.poll(() => written.subscription).toMatchObject({ maxLatencyMs: 2000, ...isOrdered });
});
