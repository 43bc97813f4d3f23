import { afterEach, expect, test } from "vitest";
import type { ControlApi } from "../../../worker/protocol/control.ts";
import { controlClient, serveControl } from "../../../worker/rpc/comlink.ts";

class Victim {
	pings = 0;
	secret = "inside";

	ping(): void {
		this.pings++;
	}

	notAllowed(): string {
		return this.secret;
	}
}

const open: MessagePort[] = [];

afterEach(() => {
	for (const port of open.splice(0)) port.close();
});

/** A served port, its raw other end, and everything that came back. */
function served() {
	const victim = new Victim();
	const { port1, port2 } = new MessageChannel();
	open.push(port1, port2);
	serveControl(victim as unknown as ControlApi, port2);
	const answers: unknown[] = [];
	port1.onmessage = ({ data }) => answers.push(data);
	return { victim, raw: port1, answers };
}

/** An admitted call that arrives after the attack proves that the attack was looked at. */
async function afterwards({ victim, raw, answers }: ReturnType<typeof served>): Promise<unknown[]> {
	const before = victim.pings;
	raw.postMessage({ id: "after", type: "APPLY", path: ["ping"], argumentList: [] });
	while (victim.pings === before) await new Promise((resolve) => setTimeout(resolve, 1));
	while (!answers.some((answer) => (answer as { id: string }).id === "after")) {
		await new Promise((resolve) => setTimeout(resolve, 1));
	}
	return answers.filter((answer) => (answer as { id: string }).id !== "after");
}

const attacks: Record<string, unknown> = {
	"reading a property": { id: "x", type: "GET", path: ["secret"] },
	"reading the constructor of a method": { id: "x", type: "GET", path: ["ping", "constructor"] },
	"setting a property": { id: "x", type: "SET", path: ["secret"], value: { type: "RAW", value: "outside" } },
	"replacing a method": { id: "x", type: "SET", path: ["ping"], value: { type: "RAW", value: null } },
	constructing: { id: "x", type: "CONSTRUCT", path: ["ping", "constructor"], argumentList: [] },
	"asking for another endpoint": { id: "x", type: "ENDPOINT" },
	"calling along a long path": { id: "x", type: "APPLY", path: ["ping", "call"], argumentList: [] },
	"calling the function constructor": {
		id: "x",
		type: "APPLY",
		path: ["ping", "constructor"],
		argumentList: [{ type: "RAW", value: "globalThis.owned = true" }],
	},
	"calling a method that is not on the list": { id: "x", type: "APPLY", path: ["notAllowed"], argumentList: [] },
	"calling an inherited method": { id: "x", type: "APPLY", path: ["hasOwnProperty"], argumentList: [] },
	"calling with an empty path": { id: "x", type: "APPLY", path: [], argumentList: [] },
	"calling with a path that is no list": { id: "x", type: "APPLY", path: "ping", argumentList: [] },
	"passing a proxied argument": {
		id: "x",
		type: "APPLY",
		path: ["ping"],
		argumentList: [{ type: "HANDLER", name: "proxy", value: null }],
	},
	"passing an argument that throws": {
		id: "x",
		type: "APPLY",
		path: ["ping"],
		argumentList: [{ type: "HANDLER", name: "throw", value: { isError: false, value: "gotcha" } }],
	},
	"passing two arguments": {
		id: "x",
		type: "APPLY",
		path: ["ping"],
		argumentList: [
			{ type: "RAW", value: 1 },
			{ type: "RAW", value: 2 },
		],
	},
	"releasing along a path": { id: "x", type: "RELEASE", path: ["ping"] },
	"saying nothing": null,
	"saying anything": "GET",
};

test.each(Object.entries(attacks))("%s gets no answer and has no effect", async (_name, message) => {
	const target = served();
	target.raw.postMessage(message);
	expect(await afterwards(target)).toEqual([]);
	expect(target.victim.secret).toBe("inside");
	expect(target.victim.pings).toBe(1);
	expect("owned" in globalThis).toBe(false);
});

test("releasing the port ends the service", async () => {
	const target = served();
	await afterwards(target);
	target.raw.postMessage({ id: "bye", type: "RELEASE" });
	while (target.answers.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
	const { pings } = target.victim;
	target.raw.postMessage({ id: "late", type: "APPLY", path: ["ping"], argumentList: [] });
	await new Promise((resolve) => setTimeout(resolve, 20));
	expect(target.victim.pings).toBe(pings);
});

test("calls are executed in the order they were made, and plain errors come back as they are", async () => {
	const { port1, port2 } = new MessageChannel();
	open.push(port1, port2);
	const order: number[] = [];
	const api = {
		free({ id }: { id: number }) {
			order.push(id);
			if (id === 2) throw { kind: "usage", message: "id 2 is not in use" };
		},
	};
	serveControl(api as unknown as ControlApi, port2);
	const client = controlClient(port1);
	const outcomes = await Promise.allSettled([1, 2, 3].map((id) => client.free({ id })));
	expect(order).toEqual([1, 2, 3]);
	expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
	expect(outcomes[1]).toMatchObject({ reason: { kind: "usage", message: "id 2 is not in use" } });
});
