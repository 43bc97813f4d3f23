import { describe, expect, it } from "vitest";
import type { Operation } from "../../../worker/core/api.ts";
import { Scope } from "../../../worker/media/scope.ts";

/** An operation as the core gives it: it settles once, and cancelling rejects it. */
function operation(): Operation<string> & { resolve(value: string): void } {
	let resolve: (value: string) => void = () => {};
	let reject: (error: unknown) => void = () => {};
	const result = new Promise<string>((yes, no) => {
		resolve = yes;
		reject = no;
	});
	return { result, resolve, cancel: () => reject({ kind: "cancelled", message: "cancelled" }) };
}

describe("scope", () => {
	it("undoes last first, once, and forgets what was taken back", () => {
		const done: string[] = [];
		const scope = new Scope();
		scope.add(() => done.push("a"));
		const forget = scope.add(() => done.push("b"));
		scope.add(() => done.push("c"));
		forget();
		scope.close();
		scope.close();
		expect(done).toEqual(["c", "a"]);
		expect(scope.isClosed).toBe(true);
	});

	it("undoes at once what comes after its end", () => {
		const done: string[] = [];
		const scope = new Scope();
		scope.close();
		scope.add(() => done.push("late"));
		expect(done).toEqual(["late"]);
	});

	it("undoes everything even when one undo throws, and passes the error on", () => {
		const done: string[] = [];
		const scope = new Scope();
		scope.add(() => done.push("a"));
		scope.add(() => {
			throw new Error("stuck");
		});
		scope.add(() => done.push("c"));
		expect(() => scope.close()).toThrow("stuck");
		expect(done).toEqual(["c", "a"]);
	});

	it("withdraws operations that still wait, and only those", async () => {
		const scope = new Scope();
		const settled = operation();
		const first = scope.wait(settled);
		settled.resolve("there");
		expect(await first).toBe("there");
		const waiting = scope.wait(operation());
		scope.close();
		await expect(waiting).rejects.toMatchObject({ kind: "cancelled" });
		await expect(scope.wait(operation())).rejects.toMatchObject({ kind: "cancelled" });
	});
});
