import { connect } from "moq-worker";

// watch data
const moq = await connect("https://relay.example.com/demo");
const track = (await moq.waitForBroadcast("room/alice")).track("chat");
for await (const group of await track.subscribe())
	for await (const frame of group) console.log(frame.timestamp, frame.text());
