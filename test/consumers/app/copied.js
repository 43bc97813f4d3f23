// For bundlers that do not follow assets: the two files are copied next to the page, and named.
import * as moq from "moq-worker";
import { report } from "./round-trip.js";

report(moq, { worker: "./worker.js", wasm: "./core_bg.wasm" });
