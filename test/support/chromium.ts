import { existsSync } from "node:fs";

/** Where Debian, Ubuntu and Fedora put the browser; CHROMIUM_PATH comes before all of them. */
const places = [
	"/usr/bin/chromium",
	"/usr/bin/chromium-browser",
	"/usr/bin/google-chrome",
	"/usr/bin/google-chrome-stable",
];

/** The full Chromium to test with. Playwright's own headless shell has no WebTransport. */
export function chromiumPath(): string {
	const given = process.env.CHROMIUM_PATH;
	if (given) return given;
	const found = places.find((place) => existsSync(place));
	if (!found) throw new Error("no Chromium found: run `npm run setup -- --only=chromium`, or set CHROMIUM_PATH");
	return found;
}

/** Start-up switches: drawing works without a GPU, sound may start without a click. */
export function chromiumArgs(): string[] {
	const args = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--autoplay-policy=no-user-gesture-required"];
	// Chromium's sandbox refuses to run as root, as containers often do.
	if (process.getuid?.() === 0) args.push("--no-sandbox");
	return args;
}
