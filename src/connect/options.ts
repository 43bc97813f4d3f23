import type { DialData } from "../../worker/protocol/control.ts";
import { DEFAULT_VERSIONS, type ReconnectData, type Version } from "../../worker/protocol/model.ts";
import * as argument from "../handle/argument.ts";
import { usage } from "../handle/error.ts";
import type { WaitOptions } from "../handle/pending.ts";
import type { Origin } from "../model/origin.ts";
import type { Token } from "./token.ts";

/** When a connection that was lost is made again; what is not given is as by default. */
export type ReconnectOptions = Partial<ReconnectData>;

/** Options of {@link Runtime.connect}. */
export interface DialOptions extends WaitOptions {
	/** Offered to the peer. Default: one fresh origin for both directions, which ends with the connection. */
	publish?: Origin;
	/** Filled with what the peer announces. Default: the same fresh origin. */
	consume?: Origin;
	/** Offer only these, newest first. Default: moq-lite 06 to 01. */
	versions?: readonly Version[];
	/** Sent as `?jwt=` with the address. A function is asked at every dial, also when the connection follows a relay that goes away. */
	token?: Token;
	/**
	 * SHA-256 of certificates to accept besides the platform's trust, as hex text or 32 bytes. With an `http:` address
	 * and nothing given here, it is fetched from `/certificate.sha256`.
	 */
	serverCertificateHashes?: readonly (string | ArrayBuffer | ArrayBufferView)[];
	/** Default "auto": WebTransport, with WebSocket joining the race after a head start. */
	transport?: "auto" | "webtransport" | "websocket";
	/**
	 * When a connection that is lost is made again, and whether it follows a relay that goes away to the address it names, if that is as
	 * safe. False: neither. Default: both, without a limit; the first dial rejects, and is not repeated.
	 */
	reconnect?: false | ReconnectOptions;
	/** The WebSocket side. */
	websocket?: {
		/** Another address than that of the relay. */
		url?: string;
		/** Head start of WebTransport, in milliseconds. Default 500, or 0 where WebSocket won the last time. */
		delayMs?: number;
	};
}

const ALL_VERSIONS: readonly Version[] = [...DEFAULT_VERSIONS, "moq-lite-05-wip", "moq-lite-07-wip"];

/** The address as checked, without its query in any error: that may hold a token. */
function address(name: string, value: unknown, schemes: readonly string[]): URL {
	let url: URL;
	try {
		url = new URL(String(value));
	} catch {
		throw usage(`${name} is not an absolute address`);
	}
	if (!schemes.includes(url.protocol)) {
		throw usage(
			`${name} must begin with ${schemes.map((scheme) => `${scheme}//`).join(" or ")}, not ${url.protocol}//`,
		);
	}
	if (url.username !== "" || url.password !== "")
		throw usage(`${name} must not hold a user name; use the token option`);
	return url;
}

/** Everything about the way to the peer that can be known without asking anybody. */
export function dialData(url: string | URL, options: DialOptions): DialData {
	argument.record("the options", options);
	const target = address("url", url, ["https:", "http:"]);
	target.hash = "";
	const { versions = DEFAULT_VERSIONS, transport = "auto", websocket = {} } = options;
	if (argument.list("versions", versions).length === 0) throw usage("versions must name at least one version");
	const dial: DialData = {
		url: target.href,
		versions: versions.map((version) => argument.oneOf("versions", version, ALL_VERSIONS)),
		transport: argument.oneOf("transport", transport, ["auto", "webtransport", "websocket"]),
		websocket: {},
	};
	if (options.reconnect !== false) dial.reconnect = reconnectData(options.reconnect);
	argument.record("websocket", websocket);
	if (websocket.url !== undefined) {
		dial.websocket.url = address("websocket.url", websocket.url, ["wss:", "ws:", "https:", "http:"]).href;
	}
	if (websocket.delayMs !== undefined) dial.websocket.delayMs = argument.whole("websocket.delayMs", websocket.delayMs);
	if (options.serverCertificateHashes !== undefined) {
		dial.serverCertificateHashes = argument
			.list("serverCertificateHashes", options.serverCertificateHashes)
			.map(certificateHash);
	}
	return dial;
}

/** The policy as checked and complete. */
function reconnectData(options: ReconnectOptions = {}): ReconnectData {
	argument.record("reconnect", options);
	const whole = (name: keyof ReconnectOptions, otherwise: number) =>
		argument.optionalWhole(`reconnect.${name}`, options[name]) ?? otherwise;
	const real = (name: "factor" | "jitter", otherwise: number, min: number, max: number) => {
		const value = options[name] ?? otherwise;
		if (typeof value === "number" && value >= min && value <= max) return value;
		throw usage(`reconnect.${name} must be a number from ${min} to ${max}`);
	};
	const { maxAttempts, giveUpMs } = options;
	return {
		initialMs: whole("initialMs", 1_000),
		factor: real("factor", 2, 1, 100),
		jitter: real("jitter", 0.5, 0, 1),
		maxMs: whole("maxMs", 30_000),
		resetAfterMs: whole("resetAfterMs", 10_000),
		...(maxAttempts === undefined ? {} : { maxAttempts: argument.whole("reconnect.maxAttempts", maxAttempts) }),
		...(giveUpMs === undefined ? {} : { giveUpMs: argument.whole("reconnect.giveUpMs", giveUpMs) }),
	};
}

/** The same address with a token. An empty one is none. */
export function withToken(dial: DialData, token: string): DialData {
	if (token === "") return dial;
	const url = new URL(dial.url);
	url.searchParams.set("jwt", token);
	return { ...dial, url: url.href };
}

function certificateHash(hash: unknown): Uint8Array {
	let bytes: Uint8Array;
	if (typeof hash === "string") {
		const digits = hash.replaceAll(":", "");
		if (!/^[0-9a-f]{64}$/i.test(digits)) throw usage("serverCertificateHashes: a hash has 64 hexadecimal digits");
		bytes = Uint8Array.from({ length: 32 }, (_, at) => Number.parseInt(digits.slice(at * 2, at * 2 + 2), 16));
	} else if (hash instanceof ArrayBuffer) bytes = new Uint8Array(hash.slice(0));
	else if (ArrayBuffer.isView(hash)) bytes = new Uint8Array(hash.buffer, hash.byteOffset, hash.byteLength).slice();
	else throw usage("serverCertificateHashes: a hash is hexadecimal text or bytes");
	if (bytes.byteLength !== 32) throw usage("serverCertificateHashes: a SHA-256 has 32 bytes");
	return bytes;
}
