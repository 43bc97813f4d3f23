import * as peer from "./net.ts";

globalThis.peer = peer;
