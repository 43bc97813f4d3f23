import { readFileSync } from "node:fs";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import { chromiumArgs, chromiumPath } from "./scripts/chromium.mjs";
import { killBrowser, leaveAndReturn, runInBrowser, startBrowser } from "./test/support/browser-commands.ts";
import { signalRelay, startRelay } from "./test/support/relay-commands.ts";

const { version } = JSON.parse(readFileSync(new URL("./package.json", import.meta.url), "utf8")) as { version: string };

// An object each: vitest takes the keys out of the one it is given.
const define = () => ({ __BUILD_VERSION__: JSON.stringify(version) });

// A test without progress is a hang, and a hang is a finding: no retries, short limits.
export default defineConfig({
	define: define(),
	test: {
		projects: [
			{
				define: define(),
				test: { name: "node", environment: "node", include: ["test/node/**/*.test.ts"], testTimeout: 10_000 },
			},
			{
				define: define(),
				// The relay's port changes from run to run; the tests import the built package, not its sources.
				server: { fs: { strict: false } },
				optimizeDeps: { exclude: ["moq-worker"] },
				test: {
					name: "browser",
					include: ["test/browser/**/*.test.ts"],
					globalSetup: ["test/support/relay-setup.ts"],
					testTimeout: 20_000,
					fileParallelism: false,
					browser: {
						enabled: true,
						headless: true,
						screenshotFailures: false,
						commands: {
							startRelay,
							signalRelay,
							startBrowser,
							runInBrowser,
							killBrowser,
							leaveAndReturn,
						},
						provider: playwright({ launchOptions: { executablePath: chromiumPath(), args: chromiumArgs() } }),
						instances: [{ browser: "chromium" }],
					},
				},
			},
		],
	},
});
