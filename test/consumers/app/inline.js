import * as moq from "moq-worker/inline";
import { report } from "./round-trip.js";

report(moq);
