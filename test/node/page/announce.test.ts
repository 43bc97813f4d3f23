import { afterEach, expect, test } from "vitest";
import { NotFoundError, UsageError } from "../../../src/handle/error.ts";
import { type CorePage, joined } from "../../support/core-page.ts";

const TRACKS = 200;
const open: CorePage[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((page) => page.close()));
});

async function pair(version: "moq-lite-04" | "moq-lite-06") {
	const two = await joined(version);
	open.push(two.left, two.right);
	return two;
}

test.each(["moq-lite-04", "moq-lite-06"] as const)(
	"a peer that asks on the announcement finds all tracks of the turn, over %s",
	async (version) => {
		const { near, far } = await pair(version);
		for (let round = 0; round < 5; round++) {
			const watching = far.waitForBroadcast(`room/${round}`).then(async (found) => {
				const tracks = Array.from({ length: TRACKS }, (_, index) => found.track(`track/${TRACKS - 1 - index}`));
				for (let at = 0; at < TRACKS; at += 50) {
					await Promise.all(tracks.slice(at, at + 50).map((track) => track.info()));
				}
				for (const track of tracks) track.close();
				found.close();
				return tracks.length;
			});
			const broadcast = near.createBroadcast(`room/${round}`);
			for (let index = 0; index < TRACKS; index++) broadcast.createTrack(`track/${index}`).writeFrame("first");
			expect(await watching).toBe(TRACKS);
			broadcast.close();
		}
	},
);

test("readers of the same page are refused at once, and what answers a request is announced nowhere", async () => {
	const { near } = await pair("moq-lite-06");
	const broadcast = near.createBroadcast("room");
	await expect(broadcast.consume().track("none").info()).rejects.toBeInstanceOf(NotFoundError);
	let refused: unknown;
	near.dynamic((request) => {
		const made = request.accept();
		try {
			made.announce();
		} catch (error) {
			refused = error;
		}
		made.createTrack("chat").writeFrame("x");
	});
	const found = await near.publish.requestBroadcast("asked");
	expect(await found.track("chat").info()).toMatchObject({ priority: 127 });
	expect(refused).toBeInstanceOf(UsageError);
});
