// What every consumer does: one connection publishes, another one reads, and the page says how many bytes arrived, and how.

/** As a script: no frameworks, no modules of its own. `moq` is the package, however it was loaded. */
export async function roundTrip({ connect, loadRuntime }, files) {
	const relay = new URLSearchParams(location.search).get("relay");
	const runtime = files && (await loadRuntime(files));
	const options = runtime ? { runtime } : {};
	const path = `consumers/${crypto.randomUUID?.() ?? Math.random()}`;
	const writer = await connect(relay, options);
	const track = writer.createBroadcast(path).createTrack("data");
	const sent = 3;
	for (let group = 0; group < sent; group++) track.writeFrame(new Uint8Array(10_000).fill(group));
	track.finish();
	const reader = await connect(relay, options);
	const subscriber = await (await reader.waitForBroadcast(path)).track("data").subscribe();
	let bytes = 0;
	for await (const group of subscriber) {
		for await (const frame of group) bytes += frame.bytes().filter((byte) => byte === group.sequence).length;
	}
	return { bytes, expected: sent * 10_000, transport: reader.transport, version: reader.version };
}

/** Runs it, and leaves the outcome where the test looks. */
export function report(moq, files) {
	roundTrip(moq, files).then(
		(result) => {
			globalThis.consumerResult = result;
			parent?.postMessage(result, "*");
		},
		(error) => {
			const result = { error: String(error?.stack ?? error) };
			globalThis.consumerResult = result;
			parent?.postMessage(result, "*");
		},
	);
}
