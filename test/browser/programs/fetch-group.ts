import { connect } from "moq-worker";

const moq = await connect("https://relay.example.com/demo");
const track = (await moq.waitForBroadcast("room/alice")).track("chat");

// one old group, no subscription
const group = await track.fetchGroup(17);

for await (const frame of group) console.log(frame.text());
