import { afterEach, expect, test } from "vitest";
import type { Connection } from "../../../src/connect/connection.ts";
import { NotFoundError } from "../../../src/handle/error.ts";
import { CorePage, joined } from "../../support/core-page.ts";
import { memoryPair } from "../../support/memory-transport.ts";

const open: CorePage[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((page) => page.close()));
});

async function pair() {
	const two = await joined("moq-lite-06");
	open.push(two.left, two.right);
	return two;
}

/** Waits until the broadcast no longer holds requests for tracks it has not got. */
async function unheld(far: Connection): Promise<void> {
	const found = await far.requestBroadcast("room/bob");
	const track = found.track("none");
	await expect(track.info()).rejects.toBeInstanceOf(NotFoundError);
	track.close();
	found.close();
}

test("ten thousand subscriptions that come and go leave every count of page, host and core where it was", async () => {
	const { left, right, near, far } = await pair();
	const chat = near.createBroadcast("room/bob").createTrack("chat");
	chat.writeFrame("hello");
	const track = (await far.waitForBroadcast("room/bob")).track("chat");
	// One stays, so that the publisher's side has no reason to change.
	const staying = await track.subscribe();
	await unheld(far);
	const counts = async () => [await left.live(), await right.live()];
	const round = async (cycles: number) => {
		for (let cycle = 0; cycle < cycles; cycle += 2) {
			track.subscribe({ priority: cycle % 256 }).cancel();
			(await track.subscribe()).close();
		}
		await expect.poll(counts, { timeout: 8000 }).toEqual(before);
		return (await right.runtime.stats()).memoryBytes;
	};
	const before = await counts();
	const warm = await round(5000);
	expect(await round(5000)).toBe(warm);
	staying.close();
}, 120_000);

test("a thousand rounds of fetches, announcements and requests leave every count where it was", async () => {
	const { left, right, near, far } = await pair();
	const chat = near.createBroadcast("room/bob").createTrack("chat");
	const groups = chat.dynamic((request) => {
		const group = request.accept();
		group.writeFrame("old");
		group.finish();
	});
	chat.createGroup(2000).finish();
	const track = (await far.waitForBroadcast("room/bob")).track("chat");
	const paths = far.consume.dynamic((request) => request.reject(1));
	const staying = await track.subscribe();
	await unheld(far);
	const counts = async () =>
		[await left.live(), await right.live()].map(({ ids, handles, operations, tasks, page }) => {
			return { ids, handles, operations, tasks, page };
		});
	await (await track.fetchGroup(1999)).readFrame();
	await expect.poll(async () => (await left.live()).ids["published-group"]).toBeUndefined();
	const before = await counts();
	for (let cycle = 0; cycle < 1000; cycle++) {
		const group = await track.fetchGroup(cycle);
		await group.readFrame();
		group.close();
		track.fetchGroup(cycle + 1000).cancel();
		await far.requestBroadcast("nobody").catch(() => undefined);
		far.waitForBroadcast("never").cancel();
		const announced = far.announced();
		(await announced.next())?.free();
		announced.close();
	}
	await expect.poll(counts, { timeout: 8000 }).toEqual(before);
	for (const handle of [groups, paths, staying]) handle.close();
}, 120_000);

test("five hundred connections that come and go leave nothing", async () => {
	const page = await CorePage.start();
	open.push(page);
	const peer = await CorePage.start();
	open.push(peer);
	const connect = async () => {
		const network = memoryPair("moq-lite-06");
		page.dial = () => Promise.resolve(network.left);
		peer.dial = () => Promise.resolve(network.right);
		const options = { versions: ["moq-lite-06"] as const, consume: origin, publish: origin };
		const both = await Promise.all([
			page.runtime.connect("https://left.example/", options),
			peer.runtime.connect("https://right.example/", { versions: ["moq-lite-06"] }),
		]);
		both[0].close();
		await both[1].closed;
	};
	const origin = page.runtime.origin();
	await connect();
	const counts = async () => [await page.live(), await peer.live()];
	await expect.poll(async () => (await page.live()).handles).toEqual({ origin: 1 });
	const before = await counts();
	for (let round = 0; round < 500; round++) await connect();
	await expect.poll(counts, { timeout: 8000 }).toEqual(before);
}, 120_000);
