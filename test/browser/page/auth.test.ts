import { type Connection, loadRuntime, type MoqError, type Runtime, UnauthorizedError, UsageError } from "moq-worker";
import { afterEach, beforeEach, expect, inject, test, vi } from "vitest";
import { seconds, sign } from "./token.ts";

const { url } = inject("guardedRelay");
const TRANSPORTS = ["webtransport", "websocket", "auto"] as const;

let runtime: Runtime;
const unhandled = vi.fn();
globalThis.addEventListener("unhandledrejection", unhandled);

beforeEach(async () => {
	runtime = await loadRuntime();
});

afterEach(async () => {
	await expect.poll(async () => (await runtime.stats()).ids.connection ?? 0).toBe(0);
	await runtime.close();
	expect(unhandled).not.toHaveBeenCalled();
});

const failure = async (connecting: PromiseLike<Connection>): Promise<MoqError | undefined> => {
	try {
		(await connecting).close();
		return undefined;
	} catch (error) {
		return error as MoqError;
	}
};

test.each(TRANSPORTS)(
	"a token function is asked at every dial, and its token opens what it grants (%s)",
	async (transport) => {
		const token = vi.fn(() => sign({ root: "demo", put: ["me"], get: ["me"] }));
		const publisher = await runtime.connect(`${url}/demo`, { transport, token });
		const viewer = await runtime.connect(`${url}/demo/me`, { transport, token });
		expect(token).toHaveBeenCalledTimes(2);
		const broadcast = publisher.createBroadcast(`me/${transport}`);
		broadcast.createTrack("chat").writeFrame("hello");
		const found = await viewer.waitForBroadcast(transport);
		for await (const group of await found.track("chat").subscribe()) {
			expect((await group.readFrame())?.text()).toBe("hello");
			break;
		}
		publisher.close();
		viewer.close();
	},
);

test.each(TRANSPORTS)(
	"what the relay does not let in is unauthorized, says so, and is not worth a retry (%s)",
	async (transport) => {
		const cases: [string, string | undefined][] = [
			["/demo", undefined],
			["/demo", "bm90.YQ.dG9rZW4"],
			["/demo", await sign({ get: [""], exp: seconds() - 1 })],
			["/other", await sign({ root: "demo", get: [""] })],
		];
		for (const [path, token] of cases) {
			const options = token === undefined ? { transport } : { transport, token: () => token };
			const error = await failure(runtime.connect(url + path, options));
			expect(error).toBeInstanceOf(UnauthorizedError);
			expect(error).toMatchObject({ kind: "unauthorized", retryable: false });
			for (const part of token?.split(".") ?? []) expect(`${error} ${JSON.stringify(error)}`).not.toContain(part);
		}
	},
);

test.each(TRANSPORTS)(
	"the relay's reason reaches the page where the browser hides the status (%s)",
	async (transport) => {
		const token = await sign({ get: [""], exp: seconds() - 1 });
		const error = await failure(runtime.connect(url, { transport, token }));
		expect(error?.message).toContain("the token has expired");
	},
);

test.each(["webtransport", "websocket"] as const)(
	"a connection ends as unauthorized when its token does (%s)",
	async (transport) => {
		const exp = seconds() + 2;
		const connection = await runtime.connect(url, { transport, token: await sign({ get: [""], exp }) });
		const error = await connection.closed.then(
			() => undefined,
			(reason: unknown) => reason,
		);
		const late = seconds() - exp;
		expect(error).toBeInstanceOf(UnauthorizedError);
		expect(late).toBeGreaterThan(-0.1);
		expect(late).toBeLessThan(1);
	},
);

test("a token function that fails, or gives no text, is named", async () => {
	const cause = new Error("no session");
	const failing = await failure(runtime.connect(url, { token: () => Promise.reject(cause) }));
	expect(failing).toBeInstanceOf(UnauthorizedError);
	expect(failing).toMatchObject({ cause, retryable: false });
	const wrong = await failure(runtime.connect(url, { token: (() => 7) as unknown as () => string }));
	expect(wrong).toBeInstanceOf(UsageError);
});

test("a connect is cancelled while its token function thinks", async () => {
	const connecting = runtime.connect(url, { token: () => new Promise<string>(() => undefined) });
	connecting.cancel();
	expect(await failure(connecting)).toMatchObject({ kind: "cancelled" });
});
