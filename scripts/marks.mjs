// Text that a script makes inside a file that a person writes.
import { existsSync, readFileSync, writeFileSync } from "node:fs";

/** Puts `text` between the marks `<!-- name:begin -->` and `<!-- name:end -->` of the file; what is around them stays. */
export function writeBetween(path, name, text) {
	const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
	const old = existsSync(path) ? readFileSync(path, "utf8") : "";
	const from = old.indexOf(begin);
	const to = old.indexOf(end);
	if (from === -1 || to < from) throw new Error(`${path} has no marks ${begin} and ${end}`);
	writeFileSync(path, `${old.slice(0, from + begin.length)}\n\n${text}\n\n${old.slice(to)}`);
}
