import type { BootMessage, InitMessage } from "../../worker/protocol/boot.ts";
import { START_DEADLINE_MS } from "../../worker/protocol/limits.ts";
import { BUILD_VERSION } from "../../worker/protocol/version.ts";
import { errorFrom, failure, type MoqError, type VersionMismatchError } from "../handle/error.ts";
import { type PolicyWatch, watchPolicy } from "./policy.ts";
import type { Spawned } from "./spawn.ts";

/** The three reasons for which a worker that loads elsewhere does not load here; the browser does not say which. */
const LOAD_CAUSES =
	"the file is not there or is not JavaScript (a dev server that pre-bundles moves it), " +
	"it is on another origin, or the content security policy forbids it";

/** Of a page that sends Cross-Origin-Embedder-Policy, browsers take no worker that does not send it as well. */
const ISOLATED =
	"this page is cross-origin isolated, and the response of the worker needs the same Cross-Origin-Embedder-Policy";

/**
 * Bring a worker up: wait for `ready`, compare versions, send `init`, wait for `started`.
 *
 * Rejects with what went wrong, and has terminated the worker then. After it resolved, `crashed` is called once when the
 * worker breaks.
 */
export function startWorker(
	spawned: Spawned,
	init: { message: InitMessage; transfer: Transferable[] },
	signal: AbortSignal,
	crashed: (error: MoqError) => void,
): Promise<void> {
	const { worker, origin } = spawned;
	return new Promise((resolve, reject) => {
		let phase: "loading" | "starting" | "running" | "over" = "loading";
		const policy: PolicyWatch = watchPolicy();
		const timer = setTimeout(() => {
			const what = phase === "loading" ? "did not load" : "did not start";
			const message = `the worker from ${origin} ${what} within ${START_DEADLINE_MS / 1000} s`;
			fail(failure("worker-load", message, failure("timeout", "deadline passed")));
		}, START_DEADLINE_MS);
		const abort = () => fail(signal.reason);
		const settled = () => {
			clearTimeout(timer);
			policy.stop();
			signal.removeEventListener("abort", abort);
			spawned.started();
		};
		const fail = (error: unknown) => {
			if (phase === "over" || phase === "running") return;
			phase = "over";
			settled();
			worker.terminate();
			reject(error);
		};
		/** It worked until now, perhaps. */
		const broke = (error: MoqError) => {
			if (phase === "running") {
				phase = "over";
				crashed(error);
			} else fail(error);
		};
		signal.addEventListener("abort", abort, { once: true });
		// The worker may have come too late.
		if (signal.aborted) return abort();

		worker.onmessage = ({ data }: MessageEvent<BootMessage>) => {
			switch (data.type) {
				case "ready":
					if (phase !== "loading") return;
					if (data.version !== BUILD_VERSION) {
						fail(mismatch(origin, data.version));
						return;
					}
					phase = "starting";
					worker.postMessage(init.message, init.transfer);
					return;
				case "started":
					if (phase !== "starting") return;
					phase = "running";
					settled();
					resolve();
					return;
				case "failed":
					fail(errorFrom(data.error));
					return;
				case "fatal":
					broke(errorFrom(data.error));
					return;
				default:
					data satisfies never;
			}
		};
		worker.onerror = (event) => {
			// It is told to whoever waits; the console need not say it as well.
			event.preventDefault();
			// An empty message is all there is when a script does not load.
			const detail = event.message ? `: ${event.message}` : "";
			if (phase === "loading") {
				const what = `the worker could not be loaded from ${origin}`;
				// The browser says what the policy forbids apart from that, and maybe later.
				setTimeout(() => {
					const isolated = globalThis.crossOriginIsolated ? `${ISOLATED}; other ` : "";
					const why = policy.remedy() ?? `${isolated}usual causes: ${LOAD_CAUSES}`;
					fail(failure("worker-load", `${what}${detail || `; ${why}`}`));
				});
				return;
			}
			broke(failure("worker-crashed", `the worker failed${detail}`));
		};
		worker.onmessageerror = () => broke(failure("worker-crashed", "a message of the worker was unreadable"));
	});
}

function mismatch(origin: string, version: string): VersionMismatchError {
	const message = `the page has build ${BUILD_VERSION}, the worker from ${origin} is ${version}: deploy both files together`;
	return failure("version-mismatch", message);
}
