/**
 * Resolves a rendition's `broadcast` against the path of the broadcast that carries the catalog, as RFC 3986 resolves a
 * reference: the base's last segment is replaced, then `.` and `..` are applied. Empty means the base itself.
 *
 * @returns the path, or `undefined` when the reference leaves the root.
 */
export function resolveBroadcast(base: string, reference: string): string | undefined {
	const own = base.split("/").filter((segment) => segment !== "");
	if (reference === "") return own.join("/");
	const path = own.slice(0, -1);
	for (const segment of reference.split("/")) {
		if (segment === "" || segment === ".") continue;
		if (segment !== "..") path.push(segment);
		else if (path.pop() === undefined) return undefined;
	}
	return path.join("/");
}
