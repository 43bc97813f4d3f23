// The browser of the tests: the system's full Chromium. Playwright's own headless shell has no WebTransport.
import { existsSync } from "node:fs";

/** Where Debian, Ubuntu and Fedora put it; CHROMIUM_PATH comes before all of them. */
const places = [
	"/usr/bin/chromium",
	"/usr/bin/chromium-browser",
	"/usr/bin/google-chrome",
	"/usr/bin/google-chrome-stable",
];

/** Its path, or undefined where there is none. */
export function findChromium() {
	return process.env.CHROMIUM_PATH || places.find((place) => existsSync(place));
}

/** Its path, or an error that says how to get it. */
export function chromiumPath() {
	const found = findChromium();
	if (!found) throw new Error("no Chromium found: run `npm run setup -- --only=chromium`, or set CHROMIUM_PATH");
	return found;
}

/** Start-up switches: drawing works without a GPU, sound may start without a click. */
export function chromiumArgs() {
	const args = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--autoplay-policy=no-user-gesture-required"];
	// Chromium's sandbox refuses to run as root, as containers often do.
	if (process.getuid?.() === 0) args.push("--no-sandbox");
	return args;
}
