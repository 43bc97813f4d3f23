// A page that does nothing: what the browser itself costs.
import { install } from "./meter.ts";

install(async () => {});
