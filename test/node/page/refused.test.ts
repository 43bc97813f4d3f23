// What a publisher has ended, or the core refuses, with the real core behind the page.
import { afterEach, beforeEach, expect, test } from "vitest";
import type { GroupConsumer, GroupProducer, MoqError, TrackProducer, TrackSubscriber } from "../../../src/index.ts";
import { CorePage } from "../../support/core-page.ts";

let page: CorePage;
let track: TrackProducer;
let subscriber: TrackSubscriber;

beforeEach(async () => {
	page = await CorePage.start();
	track = page.runtime.origin().createBroadcast("room").createTrack("chat");
	subscriber = await track.subscribe();
});

afterEach(() => page.close());

/** A group whose first frame has been read. */
async function begun(): Promise<{ group: GroupProducer; reading: GroupConsumer }> {
	const group = track.appendGroup();
	group.writeFrame("first");
	const reading = (await subscriber.nextGroup()) as GroupConsumer;
	expect((await reading.readFrame())?.text()).toBe("first");
	return { group, reading };
}

test("a group that begins in the turn in which its track is aborted ends, and takes nothing more", async () => {
	const group = track.appendGroup();
	track.abort();
	await group.closed;
	expect(() => group.writeFrame("lost")).toThrow("group 0 has ended");
});

test("a group that is being written ends with its track, and its reader gets the reason", async () => {
	const { group, reading } = await begun();
	track.abort(5);
	await group.closed;
	await expect(reading.readFrame()).rejects.toMatchObject({ kind: "app", code: 5 });
});

test("a group that is finished in the turn in which its track is aborted does not keep its reader waiting", async () => {
	const { group, reading } = await begun();
	group.writeFrame("second");
	group.finish();
	track.abort(5);
	await expect(reading.readFrame()).rejects.toMatchObject({ kind: "app", code: 5 });
});

test.each(["writeDatagram", "writeFrame", "appendGroup"] as const)(
	"what %s writes under a number that was served before is refused, and said",
	async (how) => {
		track.dynamic((request) => {
			const group = request.accept();
			group.writeFrame("old");
			group.finish();
		});
		const fetched = await track.consume().fetchGroup(0);
		expect((await fetched.readFrame())?.text()).toBe("old");
		const warned = new Promise<MoqError>((resolve) =>
			track.addEventListener("warning", ({ detail }) => resolve(detail), { once: true }),
		);
		if (how === "appendGroup") track.appendGroup().finish();
		else track[how]("live");
		expect(await warned).toMatchObject({
			kind: "duplicate",
			message: `${how === "writeDatagram" ? "datagram" : "group"} 0: already exists`,
		});
		// Group 0 is what it was, and the next one is taken.
		track.writeFrame("next");
		expect((await subscriber.readFrame())?.text()).toBe("old");
		expect((await subscriber.readFrame())?.text()).toBe("next");
	},
);
