// Tokens for the relay that asks for them.
import { inject } from "vitest";

const { key } = inject("guardedRelay");

/** What a token says. */
export interface Claims {
	root?: string;
	put?: string[];
	get?: string[];
	exp?: number;
}

/** The time, as tokens tell it. */
export const seconds = () => Date.now() / 1000;

function base64url(bytes: Uint8Array): string {
	const text = btoa(String.fromCharCode(...bytes));
	return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** A token signed with the secret of the relay. */
export async function sign(claims: Claims): Promise<string> {
	const part = (value: object) => base64url(new TextEncoder().encode(JSON.stringify(value)));
	const message = `${part({ alg: "HS256", kid: key.kid })}.${part({ exp: seconds() + 60, ...claims })}`;
	const secret = { kty: "oct", alg: "HS256", k: key.k };
	const hmac = await crypto.subtle.importKey("jwk", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
	const signature = await crypto.subtle.sign("HMAC", hmac, new TextEncoder().encode(message));
	return `${message}.${base64url(new Uint8Array(signature))}`;
}
