// What all browser tests of a run share: a relay that is open, one that asks for tokens, and a core that can be made to panic.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { faultyCore } from "../../scripts/build.mjs";
import { run } from "../../scripts/process.mjs";
import { buildRelay, startOurRelay } from "./relay.mjs";

/** A relay that asks for tokens, and the secret key it checks them with. */
export interface GuardedRelay {
	/** Its http: URL. */
	url: string;
	/** The key as JWK, with the algorithm HS256. */
	key: { k: string; kid: string };
}

declare module "vitest" {
	export interface ProvidedContext {
		/** The http: URL of the embedded relay. */
		relayUrl: string;
		guardedRelay: GuardedRelay;
	}
}

export default async function setup(project: TestProject) {
	await faultyCore();
	const program = await buildRelay();
	const relay = await startOurRelay({ program });
	project.provide("relayUrl", relay.url);
	const directory = mkdtempSync(join(tmpdir(), "guarded-relay-"));
	const file = join(directory, "key.jwk");
	await run(program, ["key", "--algorithm", "HS256", "--kid", "browser", "--out", file], { quiet: true });
	const guarded = await startOurRelay({ program, args: ["--auth-key", file] });
	project.provide("guardedRelay", { url: guarded.url, key: JSON.parse(readFileSync(file, "utf8")) });
	return async () => {
		await Promise.all([relay.stop(), guarded.stop()]);
		rmSync(directory, { recursive: true });
	};
}
