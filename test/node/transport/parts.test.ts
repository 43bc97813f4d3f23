import { expect, test } from "vitest";
import type { ErrorData } from "../../../worker/protocol/error.ts";
import { DEFAULT_VERSIONS } from "../../../worker/protocol/model.ts";
import { address } from "../../../worker/transport/address.ts";
import { certificateHashes, parseHash } from "../../../worker/transport/certificate.ts";
import { isSessionFailure, streamCode, streamReason, describe as text } from "../../../worker/transport/failure.ts";
import { tokens } from "../../../worker/transport/version.ts";

function kindOf(work: () => unknown): string {
	try {
		work();
	} catch (error) {
		return (error as ErrorData).kind;
	}
	return "nothing was thrown";
}

test("an https address dials https and wss with path and query, and needs no hash", () => {
	const target = address("https://relay.example.com/demo?jwt=abc#part");
	expect(target.webTransport.href).toBe("https://relay.example.com/demo?jwt=abc");
	expect(target.webSocket.href).toBe("wss://relay.example.com/demo?jwt=abc");
	expect(target.certificate).toBeUndefined();
	expect(target.origin).toBe("https://relay.example.com");
});

test("an http address dials https on the same port and asks there for the certificate, without the query", () => {
	const target = address("http://localhost:4443/demo?jwt=abc");
	expect(target.webTransport.href).toBe("https://localhost:4443/demo?jwt=abc");
	expect(target.webSocket.href).toBe("ws://localhost:4443/demo?jwt=abc");
	expect(target.certificate?.href).toBe("http://localhost:4443/certificate.sha256");
	expect(address("http://localhost/").webTransport.port).toBe("80");
});

test("another address for the fallback may use either spelling of its scheme", () => {
	expect(address("https://a.example/x", "https://b.example/y").webSocket.href).toBe("wss://b.example/y");
	expect(address("https://a.example/x", "ws://b.example/y").webSocket.href).toBe("ws://b.example/y");
});

test("an address that cannot be dialed names the option and never the query", () => {
	expect(kindOf(() => address("relay.example.com"))).toBe("usage");
	expect(kindOf(() => address("https://a.example/", "tcp://b.example"))).toBe("usage");
	try {
		address("ftp://relay.example.com/?jwt=secret");
	} catch (error) {
		expect((error as ErrorData).message).toContain("url has the scheme ftp:");
		expect((error as ErrorData).message).not.toContain("secret");
	}
});

test("versions are offered by token, 02 and 01 as the one they share", () => {
	expect(tokens(DEFAULT_VERSIONS)).toEqual(["moq-lite-06", "moq-lite-05", "moq-lite-04", "moq-lite-03", "moql"]);
	expect(tokens(["moq-lite-01", "moq-lite-05-wip"])).toEqual(["moql", "moq-lite-05-wip"]);
});

test("a hash is 64 digits in any usual spelling and nothing else", () => {
	const digits = "0123456789abcdef".repeat(4);
	const bytes = Uint8Array.from(Buffer.from(digits, "hex"));
	const colons = digits.match(/../g)?.join(":") ?? "";
	for (const spelling of [digits, digits.toUpperCase(), `0x${digits}`, colons, `${digits}\n`]) {
		expect(parseHash(spelling)).toEqual(bytes);
	}
	for (const wrong of ["", digits.slice(1), `${digits}0`, digits.replace("0", "g")])
		expect(parseHash(wrong)).toBeUndefined();
	expect(certificateHashes([bytes])).toEqual([{ algorithm: "sha-256", value: bytes }]);
	expect(kindOf(() => certificateHashes([bytes.subarray(1)]))).toBe("usage");
});

test("codes and texts come out of whatever an engine throws", () => {
	expect(streamCode({ source: "stream", streamErrorCode: 0 })).toBe(0);
	expect(streamCode({ source: "session", streamErrorCode: null })).toBeUndefined();
	expect(streamCode(undefined)).toBeUndefined();
	expect(streamCode(streamReason(52))).toBe(52);
	expect(isSessionFailure({ source: "session" })).toBe(true);
	expect(isSessionFailure(new TypeError("x"))).toBe(false);
	expect(text(new Error("said so"))).toBe("said so");
	expect(text({ name: "WebTransportError", message: "", source: "stream", streamErrorCode: 9 })).toBe(
		"WebTransportError of the stream with code 9",
	);
	expect(text("plain")).toBe("plain");
});
