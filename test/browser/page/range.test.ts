// A range brings what it says, whoever else watches: through a relay, from a publisher that keeps its old groups.
import { type Connection, loadRuntime, type Runtime, type TrackSubscriber } from "moq-worker";
import { afterEach, expect, inject, test } from "vitest";

const open: Runtime[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((runtime) => runtime.close()));
});

/** Two connections of one page. */
async function pair(transport: "webtransport" | "websocket"): Promise<[Connection, Connection]> {
	const runtime = await loadRuntime();
	open.push(runtime);
	const options = { transport };
	return [await runtime.connect(inject("relayUrl"), options), await runtime.connect(inject("relayUrl"), options)];
}

/** All that comes until `last`, or the end of the range. */
async function read(subscriber: TrackSubscriber, last?: number): Promise<string> {
	const words: string[] = [];
	subscriber.addEventListener("gap", ({ detail: { from, to, reason } }) => words.push(`(${from}-${to} ${reason})`));
	for (;;) {
		const group = await subscriber.nextGroup();
		if (!group) return `${words.join(" ")} end`;
		words.push((await group.readFrame())?.text() ?? "empty");
		if (group.sequence === last) return words.join(" ");
	}
}

for (const transport of ["webtransport", "websocket"] as const) {
	test(`ranges over ${transport}`, { timeout: 30_000 }, async () => {
		const [near, far] = await pair(transport);
		const path = `range/${transport}`;
		const track = near.createBroadcast(path).createTrack("log");
		const asked: number[] = [];
		track.dynamic((request) => {
			asked.push(request.sequence);
			// Too old.
			if (request.sequence < 3) return request.close();
			const group = request.accept();
			group.writeFrame(`${request.sequence}`);
			group.finish();
		});
		const write = (sequence: number) => {
			const group = track.createGroup(sequence);
			group.writeFrame(`${sequence}`);
			group.finish();
		};
		const source = (await far.waitForBroadcast(path)).track("log");
		expect(await source.latest()).toBeUndefined();
		const live = await source.subscribe();
		for (const sequence of [10, 11, 12]) write(sequence);
		expect(await read(live, 12)).toBe("10 11 12");
		expect(await source.latest()).toBe(12);

		const some = await source.subscribe({ groupStart: 4, groupEnd: 11 });
		expect(await read(some)).toBe("4 5 6 7 8 9 10 11 end");
		expect(await some.finished).toBe(12);
		await some.closed;
		const gone = await source.subscribe({ groupStart: 0, groupEnd: 2 });
		expect(await read(gone)).toBe("(0-2 refused) end");
		expect(await gone.finished).toBe(3);
		const all = await source.subscribe({ groupStart: 0 });
		expect(await read(all, 12)).toBe("(0-2 refused) 3 4 5 6 7 8 9 10 11 12");
		const last = await source.subscribe({ groupStart: -5 });
		expect(await read(last, 12)).toBe("8 9 10 11 12");
		write(13);
		for (const subscriber of [live, all, last]) expect(await read(subscriber, 13)).toBe("13");
		for (const sequence of [3, 4, 5, 6, 7, 8, 9]) {
			expect(asked.filter((one) => one === sequence)).toEqual([sequence]);
		}

		// Without another reader.
		for (const subscriber of [live, all, last]) subscriber.close();
		const alone = await source.subscribe({ groupStart: -2, groupEnd: 13 });
		expect(await read(alone)).toBe("12 13 end");
		const frames: string[] = [];
		const stream = (await source.subscribe({ groupStart: 5, groupEnd: 8 })).frames();
		for (const reader = stream.getReader(); ; ) {
			const { done, value } = await reader.read();
			if (done) break;
			frames.push(value.text());
		}
		expect(frames).toEqual(["5", "6", "7", "8"]);
	});

	test(`in the order of arrival over ${transport}, no group outside the range`, async () => {
		const [near, far] = await pair(transport);
		const path = `arrival/${transport}`;
		const track = near.createBroadcast(path).createTrack("log");
		const source = (await far.waitForBroadcast(path)).track("log");
		const live = await source.subscribe();
		const ranged = await source.subscribe({ groupStart: 1, groupEnd: 2 });
		// From here on it is a read in the order of arrival.
		let next = ranged.recvGroup();
		for (const text of ["0", "1", "2", "3"]) track.writeFrame(text);
		track.finish();
		expect(await read(live)).toBe("0 1 2 3 end");
		const arrived: number[] = [];
		for (let group = await next; group; group = await next) {
			arrived.push(group.sequence);
			next = ranged.recvGroup();
		}
		expect(arrived.sort((one, other) => one - other)).toEqual([1, 2]);
	});
}
