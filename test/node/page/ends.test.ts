// What ends when something else does, and what is there as soon as it was promised.
import { afterEach, expect, test } from "vitest";
import { ClosedError, TransportError } from "../../../src/index.ts";
import { CorePage, joined } from "../../support/core-page.ts";

const open: CorePage[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((page) => page.close()));
});

async function pair() {
	const two = await joined("moq-lite-06");
	open.push(two.left, two.right);
	return two;
}

async function start() {
	const page = await CorePage.start();
	open.push(page);
	return page;
}

test("a lost connection ends what goes on through its origin, with the cause, and leaves nothing", async () => {
	const { left, near, far, lose } = await pair();
	const found: string[] = [];
	const watching = (async () => {
		for await (const { path } of near.announced()) found.push(path);
	})();
	const view = near.consume.withRoot("room");
	const broadcast = near.createBroadcast("room/alice");
	const again = near.publish.publish("room/again", broadcast.consume());
	const handlers = [near.dynamic(() => undefined), broadcast.dynamic((request) => request.accept())];
	const requests = view.dynamic();
	const asking = requests.requestedBroadcast();
	const waiting = view.waitForBroadcast("never");
	const subscriber = await (await far.waitForBroadcast("room/alice")).track("made").subscribe();
	lose();
	for (const end of [watching, asking, waiting, near.closed]) {
		await expect(end).rejects.toBeInstanceOf(TransportError);
	}
	for (const { closed } of [view, again, requests, ...handlers]) {
		await expect(closed).rejects.toBeInstanceOf(TransportError);
	}
	expect(found).toContain("room/alice");
	// What the far side found by itself is its own to close.
	subscriber.close();
	await expect.poll(async () => (await left.runtime.stats()).page).toEqual({ handles: 1, calls: 0 });
});

test("closing an origin ends its streams, views and handlers, and what was accepted through them", async () => {
	const page = await start();
	const origin = page.runtime.origin();
	const before = page.link.live;
	const inner = page.runtime.origin();
	const events = inner.announced()[Symbol.asyncIterator]();
	const next = events.next();
	inner.dynamic((request) => {
		const broadcast = request.accept();
		broadcast.dynamic((asked) => {
			const track = asked.accept();
			track.dynamic((wanted) => wanted.accept().finish());
		});
	});
	const view = inner.scope(["made"]);
	const found = await view.requestBroadcast("made/a");
	const subscriber = await found.track("chat").subscribe();
	const group = await found.track("chat").fetchGroup(7);
	group.close();
	subscriber.close();
	found.close();
	inner.close();
	expect(await next).toEqual({ value: undefined, done: true });
	await expect(view.requestBroadcast("made/b")).rejects.toBeInstanceOf(ClosedError);
	origin.createBroadcast("still works").close();
	// Two tracks to read from, which outlive everything.
	await expect.poll(async () => (await page.runtime.stats()).page.handles).toBe(before.handles + 2);
});

test("closing a broadcast with a reason ends the tracks it was asked for with it, too", async () => {
	const { near, far } = await pair();
	const broadcast = near.createBroadcast("room");
	broadcast.dynamic((request) => request.accept().writeFrame("made"));
	const subscriber = await (await far.waitForBroadcast("room")).track("chat").subscribe({ maxLatencyMs: 5000 });
	expect((await subscriber.readFrame())?.text()).toBe("made");
	broadcast.close(9);
	await expect(subscriber.readFrame()).rejects.toMatchObject({ kind: "app", code: 9 });
});

test("what a handler does in the turn in which it accepts a track is there for those who waited", async () => {
	for (let round = 0; round < 20; round++) {
		const { left, right, near, far } = await joined("moq-lite-06");
		const archive = near.createBroadcast("archive");
		archive.dynamic((request) => {
			const track = request.accept();
			if (request.name === "live") track.writeFrame("the first");
			else
				track.dynamic((wanted) => {
					const group = wanted.accept();
					group.writeFrame(`group ${wanted.sequence} of ${request.name}`);
					group.finish();
				});
		});
		const found = await far.waitForBroadcast("archive");
		// The only ones who want the track want a group of it.
		const old = await found.track("day/1").fetchGroup(5);
		expect((await old.readFrame())?.text()).toBe("group 5 of day/1");
		const first = await found.track("live").fetchGroup(0);
		expect((await first.readFrame())?.text()).toBe("the first");
		// And without either, nobody waits for what never comes.
		await expect(found.track("live").fetchGroup(3)).rejects.toMatchObject({ kind: "not-found" });
		await Promise.all([left.close(), right.close()]);
	}
});

test("a track that was accepted with nothing in it does not hold up who wants a group", async () => {
	const page = await start();
	const broadcast = page.runtime.origin().createBroadcast("room");
	broadcast.dynamic((request) => request.accept());
	await expect(broadcast.consume().track("chat").fetchGroup(0)).rejects.toMatchObject({ kind: "not-found" });
});
