// Every message arrives, exactly once and in order, with default preferences: what a new user writes first.
import { type Connection, loadRuntime, type Runtime, type Version } from "moq-worker";
import { afterEach, expect, inject, test } from "vitest";
import { programs, runBetween } from "../../support/peer/messages.ts";

/** Runs of each program; `npm run interop -- --messages --repeat 50` makes as many as one likes. */
const REPEAT = 3;

const open: Runtime[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((runtime) => runtime.close()));
});

/** Two connections of one page. */
async function pair(transport: "webtransport" | "websocket", version?: Version): Promise<[Connection, Connection]> {
	const runtime = await loadRuntime();
	open.push(runtime);
	const options = { transport, ...(version ? { versions: [version] } : {}) };
	return [await runtime.connect(inject("relayUrl"), options), await runtime.connect(inject("relayUrl"), options)];
}

const whole = (name: string) => ({ expected: programs[name]?.count, lost: 0, wrong: 0, gaps: [] });

for (const transport of ["webtransport", "websocket"] as const) {
	test.each(Object.keys(programs))(`over ${transport}: %s`, { timeout: 60_000 }, async (name) => {
		const [near, far] = await pair(transport);
		for (let round = 0; round < REPEAT; round++) {
			const broadcast = `messages/${transport}/${name}/${round}`;
			expect(await runBetween(name, { near, far, broadcast })).toMatchObject(whole(name));
		}
	});
	test.each(["moq-lite-05", "moq-lite-04", "moq-lite-03"] as const)(
		`over ${transport}, %s: ten messages in one turn`,
		async (version) => {
			const [near, far] = await pair(transport, version);
			const name = "ten messages in one turn";
			const broadcast = `messages/${transport}/${version}`;
			expect(await runBetween(name, { near, far, broadcast })).toMatchObject(whole(name));
		},
	);
}
