// Checks the types of every room: the page and the worker see different globals, so each has a configuration of its own.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { main, run } from "./process.mjs";
import { root } from "./tools.mjs";

const rooms = [".", "worker", "demo", "test"];

main(async () => {
	for (const room of rooms) {
		const config = join(root, room, "tsconfig.json");
		if (!existsSync(config)) throw new Error(`${config} is missing`);
		await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", config]);
	}
	console.log(`typecheck: ${rooms.length} rooms, no errors`);
});
