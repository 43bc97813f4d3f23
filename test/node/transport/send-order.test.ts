import { expect, test } from "vitest";
import type { TransportInput } from "../../../worker/core/transport.ts";
import type { BidirectionalLike, WebTransportLike } from "../../../worker/transport/like.ts";
import { openTransport } from "../../../worker/transport/pump.ts";

/** A session whose streams note in which order things were asked of them. */
function session(hasSendOrder: boolean) {
	const log: string[] = [];
	const stream = () => {
		const writable = new WritableStream<Uint8Array>({
			write: (data) => {
				log.push(`write ${data.byteLength}`);
			},
		});
		if (hasSendOrder) {
			Object.defineProperty(writable, "sendOrder", { set: (order: number) => log.push(`order ${order}`) });
		}
		return writable;
	};
	const never = () => new ReadableStream<never>();
	const like: WebTransportLike = {
		ready: Promise.resolve(),
		closed: new Promise(() => undefined),
		incomingUnidirectionalStreams: never(),
		incomingBidirectionalStreams: never(),
		createUnidirectionalStream: async () => stream(),
		createBidirectionalStream: async (): Promise<BidirectionalLike> => ({ readable: never(), writable: stream() }),
		close: () => undefined,
	};
	return { like, log };
}

/** An input that only hears that a stream is open, and what was written. */
function input() {
	let written = () => {};
	const done = new Promise<void>((resolve) => (written = resolve));
	const heard = { opened: () => undefined, written: () => written() } as unknown as TransportInput;
	return { heard, done };
}

test.each([false, true])(
	"a stream's priority is its send order, set before its first byte leaves (both ways: %s)",
	async (both) => {
		const { like, log } = session(true);
		const { heard, done } = input();
		const output = openTransport("webtransport", like).start(heard);
		output.open(7, both);
		output.priority(7, -5);
		output.write(7, new Uint8Array(3));
		await done;
		output.priority(7, 9);
		expect(log).toEqual(["order -5", "write 3", "order 9"]);
	},
);

test("where streams have no send order the scheduler decides, and nothing is made up", async () => {
	const { like, log } = session(false);
	const { heard, done } = input();
	const output = openTransport("webtransport", like).start(heard);
	output.open(7, false);
	output.priority(7, 1);
	output.write(7, new Uint8Array(3));
	await done;
	expect(log).toEqual(["write 3"]);
});
