// One Chromium with pages whose every complaint is collected: an error in a console, an unhandled rejection or a page
// error is a failure of the test, whatever else it found.
import { chromium } from "playwright";
import { chromiumArgs, chromiumPath } from "../../scripts/chromium.mjs";

/** Console errors that the browser itself writes about things a test does on purpose, each with its reason. */
const expected = [
	// Every page asks for one.
	/favicon\.ico/,
];

/** Starts Chromium. `open(url)` gives a page; `complaints` are the errors of all its pages so far. */
export async function launch({ args = [] } = {}) {
	const browser = await chromium.launch({
		executablePath: chromiumPath(),
		headless: true,
		args: [...chromiumArgs(), ...args],
		handleSIGINT: false,
	});
	const complaints = [];
	const complain = (text) => {
		if (!expected.some((pattern) => pattern.test(text))) complaints.push(text);
	};
	return {
		browser,
		complaints,
		async open(url, { width = 1000, height = 800 } = {}) {
			const page = await browser.newPage({ viewport: { width, height } });
			page.on("console", (message) => {
				if (message.type() === "error") complain(`console: ${message.text()} (${message.location().url})`);
			});
			page.on("pageerror", (error) => complain(`page error: ${error.stack ?? error.message}`));
			page.on("crash", () => complain("the page crashed"));
			await page.goto(url);
			return page;
		},
		async close() {
			await browser.close();
		},
	};
}
