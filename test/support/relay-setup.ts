// What all browser tests of a run share: one embedded relay, and a core that can be made to panic.
import type { TestProject } from "vitest/node";
import { faultyCore } from "../../scripts/build.mjs";
import { startOurRelay } from "./relay.mjs";

declare module "vitest" {
	export interface ProvidedContext {
		/** The http: URL of the embedded relay. */
		relayUrl: string;
	}
}

export default async function setup(project: TestProject) {
	await faultyCore();
	const relay = await startOurRelay();
	project.provide("relayUrl", relay.url);
	return () => relay.stop();
}
