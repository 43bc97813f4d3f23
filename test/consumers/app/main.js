import * as moq from "moq-worker";
import { report } from "./round-trip.js";

report(moq);
