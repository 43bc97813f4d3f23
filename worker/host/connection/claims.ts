/** What a token says that its bearer may read: prefixes of paths, from the root of the relay. Undefined: it does not say so in words we know. */
function readable(token: string): string[] | undefined {
	try {
		const [, payload = ""] = token.split(".");
		const claims: unknown = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
		if (typeof claims !== "object" || claims === null || !("get" in claims || "put" in claims)) return undefined;
		const { root = "", get = [] } = claims as { root?: unknown; get?: unknown };
		const prefixes = Array.isArray(get) ? get : [get];
		if (typeof root !== "string" || !prefixes.every((prefix) => typeof prefix === "string")) return undefined;
		return prefixes.map((prefix) => joined(root, prefix));
	} catch {
		// Not a JWT: only the relay can read it.
		return undefined;
	}
}

function joined(...parts: string[]): string {
	return parts
		.flatMap((part) => part.split("/"))
		.filter((segment) => segment !== "")
		.join("/");
}

const isWithin = (path: string, prefix: string) => prefix === "" || path === prefix || path.startsWith(`${prefix}/`);

/**
 * Whether the token in the address of a connection rules out that `path` is read there, or with `isPrefix` anything below it. The relay decides;
 * this is for people who wait for what cannot come.
 */
export function isOutside(address: string, path: string, isPrefix: boolean): boolean {
	const url = new URL(address);
	const token = url.searchParams.get("jwt");
	const prefixes = token === null ? undefined : readable(token);
	const whole = joined(decodeURIComponent(url.pathname), path);
	return prefixes?.every((prefix) => !isWithin(whole, prefix) && !(isPrefix && isWithin(prefix, whole))) ?? false;
}
