// Every member of every call and message, with values of every wrong type: a typed error, and nothing else ends.
import type { GenericSchema } from "valibot";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Core } from "../../../worker/core/core.ts";
import { ARGUMENTS, guarded } from "../../../worker/door/control.ts";
import { announceRequest, readerRequest } from "../../../worker/door/ports.ts";
import { check } from "../../../worker/door/schema.ts";
import { writeStep } from "../../../worker/door/values.ts";
import { Host } from "../../../worker/host/host.ts";
import { type ControlClient, controlClient, serveControl } from "../../../worker/rpc/comlink.ts";
import { startCore } from "../../support/core.ts";
import { Inbox } from "../../support/scripted-control.ts";

let core: Core;
let control: ControlClient;
let ports: MessagePort[];
let raw: MessagePort;

beforeEach(async () => {
	core = await startCore();
	const { port1, port2 } = new MessageChannel();
	serveControl(guarded(new Host(core, () => Promise.reject(new Error("nothing to dial")))), port2);
	control = controlClient(port1);
	raw = port1;
	ports = [port1];
	await control.createOrigin({ origin: 1 });
});

afterEach(() => {
	for (const port of ports) port.close();
	core.close();
});

/** What the tests know of a schema of valibot: enough to make a value that fits, and to find the members of an object. */
interface Shape extends GenericSchema {
	entries?: Record<string, Shape>;
	options?: readonly unknown[];
	literal?: unknown;
	wrapped?: Shape;
	pipe?: readonly [Shape];
	class?: unknown;
}

const WRONG = [
	undefined,
	null,
	5n,
	1.5,
	-1,
	2 ** 53,
	Number.NaN,
	"text",
	"",
	true,
	{},
	[],
	[null],
	new Date(0),
	new Uint8Array(1),
];

const isFine = (schema: Shape, value: unknown) =>
	(schema["~standard"].validate(value) as { issues?: unknown }).issues === undefined;

/** A value that fits. */
function sample(schema: Shape): unknown {
	switch (schema.type) {
		case "object":
			return Object.fromEntries(
				Object.entries(schema.entries ?? {})
					.filter(([, member]) => member.type !== "optional")
					.map(([key, member]) => [key, sample(member)]),
			);
		case "union":
		case "variant":
			return sample(schema.options?.[0] as Shape);
		case "picklist":
			return schema.options?.[0];
		case "literal":
			return schema.literal;
		case "number":
			return 1;
		case "string":
			return "a";
		case "boolean":
			return true;
		case "array":
			return [];
		case "instance":
			return schema.class === Uint8Array ? new Uint8Array(1) : new MessageChannel().port2;
		default:
			return undefined;
	}
}

/** Every way in which one member, at any depth, is wrong: where it is, and the whole with it. */
function* faults(schema: Shape): Generator<[at: string, value: unknown]> {
	if (schema.type === "optional" && schema.wrapped) return yield* faults(schema.wrapped);
	if ((schema.type === "variant" || schema.type === "union") && schema.options) {
		for (const option of schema.options) yield* faults(option as Shape);
	}
	for (const value of WRONG) if (!isFine(schema, value)) yield ["", value];
	// Where the engine lacks a class, none of them fits: those are tried in a browser.
	if (schema.type !== "object" || !isFine(schema, sample(schema))) return;
	for (const [key, member] of Object.entries(schema.entries ?? {})) {
		for (const [at, value] of faults(member)) {
			const whole = { ...(sample(schema) as object), [key]: value };
			if (!isFine(schema, whole)) yield [at ? `${key}.${at}` : key, whole];
		}
	}
}

/** A call as it goes over the port, whatever its arguments are: how it was refused. */
function refusal(name: string, args: unknown): Promise<unknown> {
	const id = `raw ${++count}`;
	const transfer = Object.values(args ?? {}).filter((value) => value instanceof MessagePort);
	return new Promise((resolve) => {
		const hear = ({ data }: MessageEvent<{ id: string; type: string; value?: { value?: unknown } }>) => {
			if (data.id !== id) return;
			raw.removeEventListener("message", hear);
			resolve(data.type === "HANDLER" ? data.value?.value : undefined);
		};
		raw.addEventListener("message", hear);
		raw.postMessage({ id, type: "APPLY", path: [name], argumentList: [{ type: "RAW", value: args }] }, transfer);
	});
}
let count = 0;

/** The worker goes on. */
async function works() {
	await control.createBroadcast({ broadcast: 90_000, origin: 1, path: "still works", info: { hops: [] } });
	expect(await control.requestBroadcast({ broadcast: 90_001, origin: 1, path: "still works" })).toEqual({
		hops: expect.any(Array),
	});
}

test("every call refuses every member that is wrong, by its name", async () => {
	let tried = 0;
	for (const [name, schema] of Object.entries(ARGUMENTS)) {
		for (const [at, args] of faults(schema as Shape)) {
			tried++;
			const error = await refusal(name, args);
			expect(error, `${name} ${at}`).toMatchObject({
				kind: "usage",
				message: expect.stringContaining(at.split(".")[0] ?? ""),
			});
		}
	}
	expect(tried).toBeGreaterThan(1000);
	await works();
});

test.each([
	["of a reader", readerRequest],
	["of a stream of announcements", announceRequest],
	["of a writer", writeStep],
])("a message %s that is wrong ends what its port belongs to, and nothing else", async (_, schema) => {
	let next = 10;
	await control.createBroadcast({ broadcast: 2, origin: 1, path: "a", info: { hops: [] } });
	for (const [at, message] of faults(schema as unknown as Shape)) {
		const { port1, port2: port } = new MessageChannel();
		ports.push(port1);
		const inbox = new Inbox<{ type: string; error?: { kind: string } }>(port1);
		if (schema === (writeStep as unknown)) {
			await control.createTrack({ producer: next++, broadcast: 2, name: `t${next}`, info: {}, port });
			port1.postMessage({ type: "write", steps: [message] });
		} else if (schema === (announceRequest as unknown)) {
			await control.announced({ stream: next++, origin: 1, prefix: "", port });
			port1.postMessage(message);
		} else {
			const producer = next++;
			const track = next++;
			await control.createTrack({
				producer,
				broadcast: 2,
				name: `t${producer}`,
				info: {},
				port: new MessageChannel().port2,
			});
			await control.consumeTrack({ track, producer });
			await control.subscribe({ subscription: next++, track, prefs: {}, credit: { frames: 9, bytes: 99 }, port });
			port1.postMessage(message);
		}
		expect(() => check(schema as never, message, "message"), at).toThrow();
		const told = await inbox.find(() => true);
		expect(told, at).toMatchObject({ type: expect.stringMatching(/^(end|groupError)$/), error: { kind: "usage" } });
	}
	await works();
});
