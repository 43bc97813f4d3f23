import { expect } from "vitest";
import { makeRuntime, type Runtime } from "../../src/connect/runtime.ts";
import { Link } from "../../src/link/link.ts";
import type { Core } from "../../worker/core/core.ts";
import type { OpenTransport } from "../../worker/core/transport.ts";
import { guarded } from "../../worker/door/control.ts";
import { Host } from "../../worker/host/host.ts";
import type { DialData } from "../../worker/protocol/control.ts";
import type { Version } from "../../worker/protocol/model.ts";
import { serveControl } from "../../worker/rpc/comlink.ts";
import { startCore } from "./core.ts";
import { memoryPair } from "./memory-transport.ts";

/** A page over the real core, in one thread: everything but the worker itself. */
export class CorePage {
	readonly runtime: Runtime;
	readonly link: Link;
	readonly core: Core;
	/** What the next dial gets. */
	dial: (signal: AbortSignal, dial: DialData) => Promise<OpenTransport> = () =>
		Promise.reject(new Error("nothing to dial"));
	/** What the host had not freed when it was shut down. */
	left: { handles: Record<string, number>; operations: number } | undefined;
	isTerminated = false;

	private constructor(core: Core) {
		this.core = core;
		const { port1, port2 } = new MessageChannel();
		const close = core.close.bind(core);
		core.close = () => {
			const { handles, operations } = core.stats();
			this.left = { handles, operations };
			close();
		};
		serveControl(guarded(new Host(core, (dial, signal) => this.dial(signal, dial))), port2);
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
		const { handles, model, operations, tasks, cachedBytes, ids, page } = await this.runtime.stats();
		return { handles, model, operations, tasks, cachedBytes, ids, page };
	}

	/** End it, and see that whatever the page left open was let go of in the core. */
	async close(): Promise<void> {
		await this.runtime.close();
		expect(this.left).toEqual({ handles: {}, operations: 0 });
		expect(this.link.live).toEqual({ handles: 0, calls: 0 });
	}
}

/** Two pages with a network between them. `lose` cuts it. */
export async function joined(version: Version) {
	const pages = [await CorePage.start(), await CorePage.start()] as const;
	const [left, right] = pages;
	const network = memoryPair(version);
	left.dial = () => Promise.resolve(network.left);
	right.dial = () => Promise.resolve(network.right);
	// There is one network, and it is not repaired.
	const options = { versions: [version], reconnect: false as const };
	const [near, far] = await Promise.all([
		left.runtime.connect("https://left.example/", options),
		right.runtime.connect("https://right.example/", options),
	]);
	return { left, right, near, far, lose: network.lose };
}
