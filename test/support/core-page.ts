import { Link } from "../../src/link/link.ts";
import { makeRuntime, type Runtime } from "../../src/runtime.ts";
import type { Core } from "../../worker/core/core.ts";
import type { OpenTransport } from "../../worker/core/transport.ts";
import { Host } from "../../worker/host/host.ts";
import { serveControl } from "../../worker/protocol/comlink.ts";
import type { WorkerStats } from "../../worker/protocol/control.ts";
import type { Version } from "../../worker/protocol/model.ts";
import { startCore } from "./core.ts";
import { memoryPair } from "./memory-transport.ts";

/** A page over the real core, in one thread: everything but the worker itself. */
export class CorePage {
	readonly runtime: Runtime;
	readonly link: Link;
	readonly core: Core;
	/** What the next dial gets. */
	dial: (signal: AbortSignal) => Promise<OpenTransport> = () => Promise.reject(new Error("nothing to dial"));
	isTerminated = false;

	private constructor(core: Core) {
		this.core = core;
		const { port1, port2 } = new MessageChannel();
		serveControl(new Host(core, (_dial, signal) => this.dial(signal)), port2);
		this.link = new Link(port1, () => {
			this.isTerminated = true;
		});
		this.runtime = makeRuntime(this.link);
	}

	static async start(): Promise<CorePage> {
		return new CorePage(await startCore());
	}

	/** Live objects, without what only grows. */
	async live() {
		const { handles, model, operations, tasks, cachedBytes, ids }: WorkerStats = await this.runtime.stats();
		return { handles, model, operations, tasks, cachedBytes, ids };
	}

	async close(): Promise<void> {
		await this.runtime.close();
	}
}

/** Two pages with a network between them. `lose` cuts it. */
export async function joined(version: Version) {
	const pages = [await CorePage.start(), await CorePage.start()] as const;
	const [left, right] = pages;
	const network = memoryPair(version);
	left.dial = () => Promise.resolve(network.left);
	right.dial = () => Promise.resolve(network.right);
	const options = { versions: [version] };
	const [near, far] = await Promise.all([
		left.runtime.connect("https://left.example/", options),
		right.runtime.connect("https://right.example/", options),
	]);
	return { left, right, near, far, lose: network.lose };
}
