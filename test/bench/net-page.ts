// The published JavaScript peer on the page's main thread.
import { install, note, started } from "./meter.ts";
import { readAll } from "./net-reader.ts";

install((where) => Promise.race([started, readAll(where, note)]));
