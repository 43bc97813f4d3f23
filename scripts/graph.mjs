// The order of the core's rooms: each uses only what stands before it. Fails on an import of a later room.
import { readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { main } from "./process.mjs";
import { wasm } from "./tools.mjs";

/** What every room may use: files at the root of the crate that know no protocol. */
const base = ["error", "map", "path", "runtime", "tasks", "time"];

/** Rooms that exist, in the order of use; those of one line know nothing of each other. */
const order = [["coding", "cost"], ["model"], ["link"], ["lite"], ["session"], ["client"], ["server"], ["upstream"]];

/** Circles that are still to be opened, as "room uses room". One that is gone has to leave this list. */
const circles = ["lite uses session", "lite uses client", "lite uses upstream", "client uses upstream"];

/** The source without comments, strings and tests, which stand last in a file. */
function shipped(text) {
	const code = text.replace(/"(?:\\.|[^"\\])*"/gs, '""').replace(/\/\/.*$/gm, "");
	const tests = code.search(/^#\[cfg\(test\)\]\s*mod \w+ \{/m);
	return tests < 0 ? code : code.slice(0, tests);
}

/** The parts of a list at its outermost commas. */
function items(list) {
	const found = [];
	let depth = 0;
	let from = 0;
	for (let at = 0; at < list.length; at += 1) {
		if (list[at] === "{") depth += 1;
		if (list[at] === "}") depth -= 1;
		if (list[at] !== "," || depth > 0) continue;
		found.push(list.slice(from, at));
		from = at + 1;
	}
	return [...found, list.slice(from)].map((item) => item.trim()).filter(Boolean);
}

/** The first names behind `crate::`, in imports and in paths alike. */
export function names(text) {
	const code = shipped(text);
	const found = new Set();
	for (const { 1: name } of code.matchAll(/\bcrate::(\w+)/g)) found.add(name);
	for (const { 1: list } of code.matchAll(/\bcrate::\{([^;]*)\}\s*;/g)) {
		for (const item of items(list)) found.add(item.match(/^\w+/)?.[0]);
	}
	return found;
}

/** Which module each name at the root of the crate comes from. */
export function exportsOf(text) {
	const from = new Map();
	for (const { 1: module, 2: list } of shipped(text).matchAll(/\buse (\w+)::(\{[^;]*\}|\w+);/g)) {
		for (const item of items(list.replace(/^\{|\}$/g, ""))) from.set(item.match(/\w+$/)?.[0], module);
	}
	return from;
}

/** Every import of a later room, or of a room beside: `sources` are texts by path below src. */
export function wrong(sources, rooms = order, shared = base, known = circles) {
	const open = new Set(known);
	const rank = new Map(rooms.flatMap((line, at) => line.map((room) => [room, at])));
	const reexports = exportsOf(sources.get("lib.rs") ?? "");
	const found = [];
	for (const [path, text] of sources) {
		if (path === "lib.rs" || /test\w*\.rs$/.test(path)) continue;
		const room = path.match(/^\w+/)[0];
		if (shared.includes(room)) continue;
		if (!rank.has(room)) {
			found.push(`${path}: ${room} has no place in the order of the rooms`);
			continue;
		}
		for (const name of names(text)) {
			const used = reexports.get(name) ?? name;
			if (used === room || !(rank.get(used) >= rank.get(room))) continue;
			const edge = `${room} uses ${used}`;
			open.delete(edge);
			if (!known.includes(edge)) found.push(`${path}: ${edge} (crate::${name})`);
		}
	}
	for (const edge of open) found.push(`"${edge}" is no circle any more`);
	return found;
}

function read(folder) {
	const paths = readdirSync(folder, { recursive: true }).filter((path) => path.endsWith(".rs"));
	const text = (path) => readFileSync(join(folder, path), "utf8");
	return new Map(paths.sort().map((path) => [path.split(sep).join("/"), text(path)]));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	main(async () => {
		const found = wrong(read(join(wasm, "moq-net/src")));
		for (const line of found) console.error(`graph: ${line}`);
		if (found.length > 0) return 1;
		console.log(`graph: no room uses a later one: ${order.map((line) => line.join(", ")).join(" → ")}`);
		console.log(`graph: except where circles are still to be opened: ${circles.join(", ")}`);
	});
}
