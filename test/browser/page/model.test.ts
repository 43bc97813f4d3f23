import { type Connection, loadRuntime, type Runtime } from "moq-worker";
import { afterEach, expect, inject, test } from "vitest";

const open: Runtime[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((runtime) => runtime.close()));
});

/** Two connections in workers of their own, to a part of the relay that is theirs. */
async function pair(room: string): Promise<[Connection, Connection]> {
	const connect = async () => {
		const runtime = await loadRuntime();
		open.push(runtime);
		return await runtime.connect(`${inject("relayUrl")}/${room}`, { transport: "webtransport" });
	};
	return [await connect(), await connect()];
}

test("a viewer's wish makes the track, across a relay", async () => {
	const [near, far] = await pair("wish");
	near.createBroadcast("archive").dynamic((request) => {
		const track = request.accept({ timescale: 1000 });
		track.writeFrame(`made for you: ${request.name}`, 5);
	});
	const track = (await far.waitForBroadcast("archive")).track("day/1");
	const subscriber = await track.subscribe({ maxLatencyMs: 5000 });
	const frame = await subscriber.readFrame();
	expect(frame?.timestamp).toBe(5);
	expect(frame?.text()).toBe("made for you: day/1");
});

test("an old group is asked of its publisher, across a relay, and made only then", async () => {
	const [near, far] = await pair("old");
	const asked: number[] = [];
	const chat = near.createBroadcast("archive").createTrack("chat");
	chat.createGroup(10).finish();
	chat.dynamic((request) => {
		asked.push(request.sequence);
		const group = request.accept();
		const frame = group.createFrame(6);
		frame.write("old");
		frame.write("ish");
		group.finish();
	});
	const track = (await far.waitForBroadcast("archive")).track("chat");
	const group = await track.fetchGroup(3);
	expect((await group.readFrame())?.text()).toBe("oldish");
	expect(asked).toEqual([3]);
});

test("datagrams cross a relay", async () => {
	const [near, far] = await pair("datagrams");
	const data = near.createBroadcast("game").createTrack("moves");
	const subscriber = await (await far.waitForBroadcast("game")).track("moves").subscribe({ maxLatencyMs: 1000 });
	const received = subscriber.recvDatagram();
	let arrived = false;
	void received.then(() => {
		arrived = true;
	});
	await data.used();
	// Best effort: one of a few gets there.
	for (let move = 0; !arrived && move < 100; move++) {
		data.writeDatagram(`move ${move}`);
		await data.ready;
		await near.stats();
	}
	expect((await received)?.text()).toMatch(/^move \d+$/);
});

test("a broadcast tells which way it came, and across a relay that it has passed it goes no second time", async () => {
	const [near, far] = await pair("ways");
	near.createBroadcast("out", { hops: ["7"] });
	const { info } = await far.waitForBroadcast("out");
	// Where it was before, the publisher, the relay.
	expect(info.hops).toEqual(["7", expect.stringMatching(/^\d+$/), expect.stringMatching(/^\d+$/)]);
	expect(new Set(info.hops).size).toBe(3);
	far.createBroadcast("back", info);
	far.createBroadcast("end");
	// In any order, and what does not come would come before the last of them.
	const heard = new Set<string>();
	for await (const { path } of near.announced()) {
		heard.add(path);
		if (heard.has("out") && heard.has("end")) break;
	}
	expect([...heard].sort()).toEqual(["end", "out"]);
});
