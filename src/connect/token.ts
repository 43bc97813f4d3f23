import { failure, usage } from "../handle/error.ts";

/** A token, or what gives one: asked at each dial, so that it may be short-lived. */
export type Token = string | (() => string | Promise<string>);

/** How long a token function may take, so that one that never answers does not hold a connect up for ever. */
const TOKEN_DEADLINE_MS = 15_000;

/**
 * The token to dial with now; undefined without one.
 *
 * @throws UnauthorizedError when the function fails, with its error as the cause; TimeoutError when it takes too long;
 * UsageError when it gives something else than text; or the signal's reason. None of them holds the token.
 */
export async function askToken(token: Token | undefined, signal: AbortSignal): Promise<string | undefined> {
	if (token === undefined) return undefined;
	const given = typeof token === "function" ? await answer(token, signal) : token;
	signal.throwIfAborted();
	if (typeof given !== "string") throw usage("token must be a string, or a function that gives one");
	return given;
}

async function answer(token: () => string | Promise<string>, signal: AbortSignal): Promise<unknown> {
	let stop: (() => void) | undefined;
	let timer: ReturnType<typeof setTimeout> | undefined;
	const ended = new Promise<never>((_, reject) => {
		stop = () => reject(signal.reason);
		signal.addEventListener("abort", stop, { once: true });
		const message = `the token function gave nothing within ${TOKEN_DEADLINE_MS / 1000} s`;
		timer = setTimeout(() => reject(failure("timeout", message)), TOKEN_DEADLINE_MS);
	});
	try {
		return await Promise.race([asked(token), ended]);
	} finally {
		clearTimeout(timer);
		if (stop) signal.removeEventListener("abort", stop);
	}
}

async function asked(token: () => string | Promise<string>): Promise<unknown> {
	try {
		return await token();
	} catch (error) {
		throw failure("unauthorized", "no token: the token function failed", error);
	}
}
