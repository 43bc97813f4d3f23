import * as peer from "./ours.ts";

globalThis.peer = peer;
