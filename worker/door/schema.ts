/** Checks of what comes over a port. Types do not hold there: a page may be broken, or not ours. */

import * as v from "valibot";
import { failure } from "../failure.ts";
import { type ErrorData, isErrorData } from "../protocol/error.ts";

/** What is checked to be a `T`. */
export type Schema<T> = v.GenericSchema<unknown, T>;

/**
 * The value, if it is what the schema says. `what` is its name in the error.
 * @throws ErrorData of kind `usage` that names the member at fault.
 */
export function check<T>(schema: Schema<T>, value: unknown, what: string): T {
	const result = v.safeParse(schema, value, { abortEarly: true });
	if (result.success) return result.output;
	const [{ path, message }] = result.issues;
	const at = path?.map(({ key }) => String(key)).join(".") || what;
	throw failure("usage", `${at}: ${message}`);
}

/** A whole number, 0…2^53−1. */
export const whole = v.pipe(
	v.number("must be a whole number"),
	v.safeInteger("must be a whole number"),
	v.minValue(0, "must not be negative"),
);

/** A number the page made up for something; 0 is none. */
export const id = v.pipe(whole, v.minValue(1, "must be a positive whole number"));

export const text = v.string("must be a string");
export const flag = v.boolean("must be true or false");
export const number = v.number("must be a number");
export const port = v.instance(MessagePort, "must be a MessagePort");
export const bytes = v.instance(Uint8Array, "must be bytes");

/** An error as it crosses a port. */
export const errorData = v.custom<ErrorData>(isErrorData, "must be an error");

/** An object of one of the classes that not every engine has. */
export function platform<Name extends "OffscreenCanvas" | "VideoFrame">(name: Name) {
	type Instance = InstanceType<(typeof globalThis)[Name]>;
	return v.custom<Instance>((value) => {
		const own: unknown = globalThis[name];
		return typeof own === "function" && value instanceof own;
	}, `must be of the class ${name}`);
}
