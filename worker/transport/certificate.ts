/** Hashes of certificates the browser should accept without a certificate authority. */

import { answers, describe, failure, final, noRelay } from "./failure.ts";
import type { PolicyWatch } from "./policy.ts";

/** One entry of `serverCertificateHashes`. */
export interface CertificateHash {
	algorithm: "sha-256";
	value: Uint8Array<ArrayBuffer>;
}

/** Bytes of a SHA-256. */
const HASH_BYTES = 32;

/** Longest body taken from the certificate endpoint: 64 digits with room for a prefix and a line end. */
const BODY_BYTES = 256;

/** Check hashes the caller gave as bytes. @throws ErrorData of kind `usage`. */
export function certificateHashes(hashes: readonly Uint8Array[]): CertificateHash[] {
	return hashes.map((hash, index) => {
		if (hash.byteLength !== HASH_BYTES) {
			throw failure(
				"usage",
				`serverCertificateHashes[${index}] has ${hash.byteLength} bytes, a SHA-256 has ${HASH_BYTES}`,
			);
		}
		return { algorithm: "sha-256", value: new Uint8Array(hash) };
	});
}

/** Read a hash as text: 64 hexadecimal digits, with or without colons or 0x. Undefined if it is anything else. */
export function parseHash(text: string): Uint8Array | undefined {
	const digits = text.trim().replace(/^0x/i, "").replaceAll(":", "");
	if (!/^[0-9a-f]{64}$/i.test(digits)) return undefined;
	return Uint8Array.from({ length: HASH_BYTES }, (_, index) =>
		Number.parseInt(digits.slice(index * 2, index * 2 + 2), 16),
	);
}

/** Ask a server on plain http for the hash of its certificate. @throws ErrorData naming the address and the cause. */
export async function fetchHash(url: URL, signal: AbortSignal, policy: PolicyWatch): Promise<CertificateHash[]> {
	let response: Response;
	try {
		response = await fetch(url, { signal, cache: "no-store", credentials: "omit" });
	} catch (error) {
		const remedy = await policy.remedy(url);
		if (remedy) throw final(`no certificate from ${url.href}: ${remedy}`);
		if (await answers(url, signal)) throw noRelay(`no certificate from ${url.href}`);
		throw failure("transport", `no answer from ${url.href}: ${describe(error)}`);
	}
	if (!response.ok) throw noRelay(`${url.href} answered with status ${response.status}`);
	const text = (await response.text()).slice(0, BODY_BYTES);
	const hash = parseHash(text);
	if (!hash) throw noRelay(`${url.href} did not answer with a SHA-256 in hexadecimal`);
	return certificateHashes([hash]);
}
