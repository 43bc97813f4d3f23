import { expect, test, vi } from "vitest";
import { CancelledError, isMoqError, TimeoutError, UsageError } from "../../../src/handle/error.ts";
import { Pending } from "../../../src/handle/pending.ts";

test("awaiting, then twice and Promise.all all give the same object", async () => {
	const value = { some: "thing" };
	const pending = new Pending<typeof value>((resolve) => {
		queueMicrotask(() => resolve(value));
		return undefined;
	});
	const [first, second] = await Promise.all([pending.then((it) => it), pending]);
	expect(first).toBe(value);
	expect(second).toBe(value);
	expect(await pending).toBe(value);
	expect(await Promise.race([pending, new Promise(() => undefined)])).toBe(value);
});

test("the status is up to date before a then callback runs", async () => {
	const pending = new Pending<number>((resolve) => {
		setTimeout(() => resolve(1));
		return undefined;
	});
	expect(pending.status).toBe("pending");
	expect(await pending.then(() => pending.status)).toBe("fulfilled");
});

test("what it settled with can be read, as React's use does", async () => {
	const good = new Pending<number>((resolve) => {
		resolve(7);
		return undefined;
	});
	expect([good.status, good.value, good.reason]).toEqual(["fulfilled", 7, undefined]);
	const error = new UsageError({ kind: "usage", message: "no" });
	const bad = new Pending<number>((_, reject) => {
		reject(error);
		return undefined;
	});
	expect([bad.status, bad.value, bad.reason]).toEqual(["rejected", undefined, error]);
	const given = new Pending<number>(() => () => undefined);
	given.cancel();
	expect(given.reason).toBeInstanceOf(CancelledError);
	expect([isMoqError(given.reason), isMoqError(new Error("x")), isMoqError("x")]).toEqual([true, false, false]);
	expect(String(good)).toBe("[object Pending]");
	await expect(Promise.allSettled([good, bad, given])).resolves.toHaveLength(3);
});

test("cancelling withdraws in the same turn, once, and rejects with the reason as cause", async () => {
	const withdraw = vi.fn();
	const pending = new Pending<number>(() => withdraw);
	pending.cancel("no longer shown");
	expect(withdraw).toHaveBeenCalledOnce();
	expect(pending.status).toBe("rejected");
	pending.cancel();
	expect(withdraw).toHaveBeenCalledOnce();
	const error = await pending.catch((reason: unknown) => reason);
	expect(error).toBeInstanceOf(CancelledError);
	expect(error).toMatchObject({ kind: "cancelled", cause: "no longer shown" });
});

test("cancelling a settled pending changes nothing", async () => {
	const withdraw = vi.fn();
	const pending = new Pending<number>((resolve) => {
		resolve(7);
		return withdraw;
	});
	pending.cancel();
	expect(pending.status).toBe("fulfilled");
	expect(withdraw).not.toHaveBeenCalled();
	expect(await pending).toBe(7);
});

test("an aborted signal cancels with its own reason, also when it was aborted before", async () => {
	const controller = new AbortController();
	const withdraw = vi.fn();
	const pending = new Pending<number>(() => withdraw, { signal: controller.signal });
	const reason = new Error("navigated away");
	controller.abort(reason);
	expect(pending.status).toBe("rejected");
	expect(withdraw).toHaveBeenCalledOnce();
	await expect(pending).rejects.toMatchObject({ kind: "cancelled", cause: reason });

	const start = vi.fn();
	const late = new Pending<number>(start, { signal: controller.signal });
	expect(late.status).toBe("rejected");
	expect(start).not.toHaveBeenCalled();
	await expect(late).rejects.toMatchObject({ kind: "cancelled", cause: reason });
});

test("a signal whose time ran out is a timeout, and both are errors of this library", async () => {
	const signal = AbortSignal.timeout(1);
	const late = await new Pending<number>(() => undefined, { signal }).catch((error: unknown) => error);
	expect(late).toBeInstanceOf(TimeoutError);
	expect(late).toMatchObject({ kind: "timeout", cause: signal.reason });
	for (const [reason, message] of [
		[undefined, "This operation was aborted"],
		["left", "left"],
		[new Error("navigated away"), "navigated away"],
	] as const) {
		const aborted = AbortSignal.abort(reason);
		const error = await new Pending<number>(() => undefined, { signal: aborted }).catch((error: unknown) => error);
		expect(error).toBeInstanceOf(CancelledError);
		expect(error).toMatchObject({ cause: aborted.reason, message: `the signal was aborted: ${message}` });
	}
});

test("the signal is let go of when the pending settles", async () => {
	const controller = new AbortController();
	const remove = vi.spyOn(controller.signal, "removeEventListener");
	await new Pending<number>(
		(resolve) => {
			setTimeout(() => resolve(1));
			return undefined;
		},
		{ signal: controller.signal },
	);
	expect(remove).toHaveBeenCalledOnce();
});

test("a throwing start is a pending that is rejected in the same turn", async () => {
	const pending = Pending.from<number>(() => {
		throw new UsageError({ kind: "usage", message: "sequence is wrong" });
	});
	expect(pending.status).toBe("rejected");
	await expect(pending).rejects.toBeInstanceOf(UsageError);
});

test("nobody awaiting a rejected or cancelled pending raises no unhandled rejection", async () => {
	const unhandled = vi.fn();
	process.on("unhandledRejection", unhandled);
	try {
		new Pending(() => {
			throw new Error("refused");
		});
		new Pending(() => undefined).cancel();
		await new Promise((resolve) => setTimeout(resolve, 20));
		expect(unhandled).not.toHaveBeenCalled();
	} finally {
		process.off("unhandledRejection", unhandled);
	}
});

test("leaving the scope of using cancels", () => {
	const withdraw = vi.fn();
	if (Symbol.dispose === undefined) return;
	const pending = new Pending(() => withdraw);
	pending[Symbol.dispose]();
	expect(withdraw).toHaveBeenCalledOnce();
	expect(pending.status).toBe("rejected");
});
