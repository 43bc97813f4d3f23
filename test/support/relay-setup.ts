// One embedded relay for all browser tests of a run.
import type { TestProject } from "vitest/node";
import { startOurRelay } from "./relay.mjs";

declare module "vitest" {
	export interface ProvidedContext {
		/** The http: URL of the embedded relay. */
		relayUrl: string;
	}
}

export default async function setup(project: TestProject) {
	const relay = await startOurRelay();
	project.provide("relayUrl", relay.url);
	return () => relay.stop();
}
