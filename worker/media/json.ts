/** A JSON object from a peer. It has no prototype, so a key such as `__proto__` is an ordinary key. */
export interface JsonObject {
	[key: string]: JsonValue;
}

/** Any JSON value that can be stored in a catalog; `null` means "absent" and is never stored. */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;

/** Deepest nesting accepted from a peer: the hang catalog needs 6, recursion must stay far from the stack's end. */
const MAX_JSON_DEPTH = 32;

/** Most members accepted in one object: a patch copies those of the objects it changes. */
const MAX_JSON_MEMBERS = 1024;

/** What a peer sent is not the JSON document it should be. */
export class JsonError extends Error {
	override readonly name = "JsonError";
}

/**
 * Parses UTF-8 JSON from a peer whose top level must be an object. The result is a patch: {@link mergePatch} makes a document of it.
 *
 * @throws {JsonError} for invalid UTF-8, invalid JSON, or another top-level type.
 */
export function parseJsonObject(bytes: Uint8Array): JsonObject {
	let value: unknown;
	try {
		value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
	} catch (cause) {
		throw new JsonError("not a JSON document", { cause });
	}
	if (!isPlain(value)) throw new JsonError("the top level is not an object");
	return value;
}

/**
 * Applies an RFC 7396 merge patch and returns the new document, whose objects have no prototype; neither argument is changed.
 * Without a target the patch itself, freed of its `null`s, is the document.
 *
 * @throws {JsonError} when the patch nests deeper than {@link MAX_JSON_DEPTH}, or an object gets more than {@link MAX_JSON_MEMBERS} members.
 */
export function mergePatch(target: JsonObject | undefined, patch: JsonObject): JsonObject {
	return mergeObject(target, patch, 0);
}

/** The own property `key` if it is an object, else `undefined`. */
export function objectAt(value: JsonObject, key: string): JsonObject | undefined {
	const found = value[key];
	return isPlain(found) ? found : undefined;
}

/** Whether `value` is a JSON object: not an array, not `null`. */
export function isPlain(value: unknown): value is JsonObject {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

function mergeObject(target: JsonValue | undefined, patch: JsonObject, depth: number): JsonObject {
	if (depth >= MAX_JSON_DEPTH) throw new JsonError(`nested deeper than ${MAX_JSON_DEPTH}`);
	const merged: JsonObject = Object.create(null);
	if (isPlain(target)) Object.assign(merged, target);
	for (const key of Object.keys(patch)) {
		const value = patch[key];
		if (value === null || value === undefined) delete merged[key];
		else merged[key] = isPlain(value) ? mergeObject(merged[key], value, depth + 1) : bounded(value, depth + 1);
	}
	const members = Object.keys(merged).length;
	if (members > MAX_JSON_MEMBERS)
		throw new JsonError(`an object with ${members} members, at most ${MAX_JSON_MEMBERS} are accepted`);
	return merged;
}

/** Arrays are replaced whole by a merge patch; the objects in them only lose their prototype. */
function bounded(value: JsonValue, depth: number): JsonValue {
	if (!Array.isArray(value)) return value;
	if (depth >= MAX_JSON_DEPTH) throw new JsonError(`nested deeper than ${MAX_JSON_DEPTH}`);
	return value.map((item) => (isPlain(item) ? mergeObject(undefined, item, depth + 1) : bounded(item, depth + 1)));
}
