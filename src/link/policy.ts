import { failure } from "../handle/error.ts";

/** Watches what the content security policy of the page refuses while a worker is started. */
export interface PolicyWatch {
	/** What to change so that the worker may start; undefined when no policy is in the way. */
	remedy(): string | undefined;
	stop(): void;
}

/** Directives that decide about the script of a worker. */
const ABOUT_WORKERS = /^(worker|child|script|default)-src/;

/** Starts watching: before the worker has had time to fail. */
export function watchPolicy(): PolicyWatch {
	let found: string | undefined;
	const listen = ({ effectiveDirective, blockedURI }: SecurityPolicyViolationEvent) => {
		if (!ABOUT_WORKERS.test(effectiveDirective)) return;
		found = `the content security policy of the page forbids it: ${effectiveDirective} has to list ${source(blockedURI)}`;
	};
	// A page has a document; tests of this in Node have none.
	if (typeof document === "undefined") return { remedy: () => undefined, stop: () => undefined };
	document.addEventListener("securitypolicyviolation", listen);
	return {
		remedy: () => found,
		stop: () => document.removeEventListener("securitypolicyviolation", listen),
	};
}

/** A blocked address as a policy names it. */
function source(blocked: string): string {
	if (/^(blob|data)/.test(blocked)) return `${blocked.split(":", 1)[0]}:`;
	try {
		return new URL(blocked).origin;
	} catch {
		return blocked;
	}
}

/** Makes a worker. @throws WorkerLoadError with what to do where the page wants addresses of scripts to be checked. */
export function trusted(make: () => Worker): Worker {
	try {
		return make();
	} catch (error) {
		if (!(error instanceof TypeError && error.message.includes("TrustedScriptURL"))) throw error;
		const message =
			"the content security policy of the page (require-trusted-types-for 'script') wants the address of the worker checked: " +
			"give loadRuntime the option worker, a function that returns a Worker";
		throw failure("worker-load", message, error);
	}
}
