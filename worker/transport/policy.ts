/** What the content security policy refused: the browser tells it apart from the failure that it causes. */

/** Watches while something is dialed. */
export class PolicyWatch {
	readonly #refused = new Map<string, string>();
	readonly #listen = (event: Event): void => {
		const { blockedURI, effectiveDirective } = event as SecurityPolicyViolationEvent;
		this.#refused.set(originOf(blockedURI), effectiveDirective);
	};

	constructor() {
		globalThis.addEventListener?.("securitypolicyviolation", this.#listen);
	}

	/** What to write into which directive so that `url` is allowed; undefined when no policy is in the way. */
	async remedy(url: URL): Promise<string | undefined> {
		// The failure may come before the browser says why.
		await new Promise((resolve) => setTimeout(resolve));
		const origin = originOf(url.href);
		const directive = this.#refused.get(origin);
		return directive && `the content security policy forbids it: ${directive} has to list ${origin}`;
	}

	stop(): void {
		globalThis.removeEventListener?.("securitypolicyviolation", this.#listen);
	}
}

/** Scheme and host of an address, whatever the scheme: `URL` has an origin for some only. */
function originOf(address: string): string {
	try {
		const { protocol, host } = new URL(address);
		return `${protocol}//${host}`;
	} catch {
		return address;
	}
}
