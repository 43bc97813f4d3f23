import { connect } from "moq-worker";

const moq = await connect("https://relay.example.com/demo");

// publish data
const broadcast = moq.createBroadcast("room/bob");
const chat = broadcast.createTrack("chat");
chat.writeFrame("hello"); // one-frame group
