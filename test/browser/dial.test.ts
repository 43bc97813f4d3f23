import { expect, inject, test } from "vitest";
import type { OpenTransport } from "../../worker/core/transport.ts";
import type { ErrorData } from "../../worker/protocol/error.ts";
import { DEFAULT_VERSIONS } from "../../worker/protocol/model.ts";
import { type DialOptions, dial } from "../../worker/transport/dial.ts";

const relay = inject("relayUrl");
/** The discard port: nothing listens there, and browsers let pages try. */
const nobody = "http://127.0.0.1:65530/";

function options(over: Partial<DialOptions> = {}): DialOptions {
	return { url: relay, versions: DEFAULT_VERSIONS, transport: "auto", ...over };
}

async function failureOf(over: Partial<DialOptions>, signal = new AbortController().signal): Promise<ErrorData> {
	let transport: OpenTransport;
	try {
		transport = await dial(options(over), signal);
	} catch (error) {
		return error as ErrorData;
	}
	transport.discard();
	throw new Error(`${transport.kind} was opened`);
}

test("each way negotiates the newest version by its token", async () => {
	for (const transport of ["webtransport", "websocket"] as const) {
		const open = await dial(options({ transport }), new AbortController().signal);
		expect(open).toMatchObject({ kind: transport, protocol: "moq-lite-06" });
		open.discard();
	}
});

test("only the versions that were asked for are offered", async () => {
	const open = await dial(options({ versions: ["moq-lite-04"] }), new AbortController().signal);
	expect(open.protocol).toBe("moq-lite-04");
	open.discard();
});

test("a relay that is not there is named with the reason of each way", async () => {
	const error = await failureOf({ url: nobody });
	expect(error).toMatchObject({ kind: "transport", retryable: true });
	expect(error.message).toContain("webtransport: no answer from http://127.0.0.1:65530/certificate.sha256");
	expect(error.message).toContain("websocket to 127.0.0.1:65530");
});

test("a certificate with another hash is named as a possible cause", async () => {
	const error = await failureOf({ transport: "webtransport", serverCertificateHashes: [new Uint8Array(32)] });
	expect(error.kind).toBe("transport");
	expect(error.message).toContain("its certificate has another hash");
});

test("when WebTransport fails the fallback wins and says why, and a head start that the caller sets counts all the same", async () => {
	const over = { serverCertificateHashes: [new Uint8Array(32)], websocket: { delayMs: 5_000 } };
	const first = await dial(options(over), new AbortController().signal);
	expect(first.kind).toBe("websocket");
	expect(first.lost).toContain("webtransport");
	first.discard();
	// That WebSocket won is remembered for dials without a head start of their own.
	const second = await dial(options({ websocket: { delayMs: 5_000 } }), new AbortController().signal);
	expect(second.kind).toBe("webtransport");
	expect(second.lost).toBeUndefined();
	second.discard();
});

test("giving up rejects with the reason and opens nothing", async () => {
	const control = new AbortController();
	const reason = { kind: "cancelled", message: "not needed any more" };
	const waiting = failureOf({}, control.signal);
	control.abort(reason);
	expect(await waiting).toBe(reason);
	expect(await failureOf({}, AbortSignal.abort(reason))).toBe(reason);
});

test("an impossible request says which option is at fault", async () => {
	expect(await failureOf({ versions: [] })).toMatchObject({ kind: "usage", message: "versions is empty" });
	expect((await failureOf({ serverCertificateHashes: [new Uint8Array(5)] })).message).toContain(
		"serverCertificateHashes",
	);
	expect((await failureOf({ url: "relay" })).message).toContain("url");
});
