// What both sides of a connection hear of a close.
import { afterEach, expect, test } from "vitest";
import type { CorePage } from "../../support/core-page.ts";
import { joined } from "../../support/core-page.ts";

const open: CorePage[] = [];

afterEach(async () => {
	await Promise.all(open.splice(0).map((page) => page.close()));
});

test.each([
	[64, "bye"],
	[0xffff, ""],
])("a close with code %s and text '%s' is told to both sides", async (code, reason) => {
	const { left, right, near, far } = await joined("moq-lite-06");
	open.push(left, right);
	near.close(code, reason);
	expect(await near.closed).toEqual(reason ? { local: true, code, reason } : { local: true, code });
	const message = `session: application error ${code}${reason && ` (${reason})`}`;
	await expect(far.closed).rejects.toMatchObject({
		kind: "app",
		code,
		scope: "session",
		message,
		...(reason && { reason }),
	});
});

test("a close without a fault is told to both sides", async () => {
	const { left, right, near, far } = await joined("moq-lite-06");
	open.push(left, right);
	near.close(0, "done");
	expect(await near.closed).toEqual({ local: true, code: 0, reason: "done" });
	expect(await far.closed).toEqual({ local: false, code: 0, reason: "done" });
});
