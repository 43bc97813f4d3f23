import { expect, test } from "vitest";
import { exportsOf, names, wrong } from "../../scripts/graph.mjs";

const rooms = [["coding", "cost"], ["model"], ["lite"]];
const check = (files: Record<string, string>, known: string[] = []) =>
	wrong(new Map(Object.entries(files)), rooms, ["error"], known);

test("names are found in imports of every shape and in paths, not in comments, strings or tests", () => {
	const text = `
		use crate::{
			Error, coding::{Reader, Writer},
			model::track,
		};
		use crate::cost::rate::Rate;
		// crate::comment
		const TEXT: &str = "crate::string";
		fn f() { crate::lite::g(); }
#[cfg(test)]
mod tests {
    use crate::later;
}`;
	expect([...names(text)].sort()).toEqual(["Error", "coding", "cost", "lite", "model"]);
});

test("what the root exports is known by the room it comes from", () => {
	const text = "pub use error::Error;\npub use model::{\n    Track, group::Group as First,\n};";
	expect([...exportsOf(text)]).toEqual([
		["Error", "error"],
		["Track", "model"],
		["First", "model"],
	]);
});

test("an earlier room may be used, a later one and one beside may not", () => {
	const lib = "pub use lite::Version;";
	expect(check({ "lib.rs": lib, "lite/mod.rs": "use crate::{Error, model::Track, lite::x};" })).toEqual([]);
	expect(check({ "lib.rs": lib, "model/track.rs": "use crate::Version;" })).toEqual([
		"model/track.rs: model uses lite (crate::Version)",
	]);
	expect(check({ "cost/rate.rs": "use crate::coding::Reader;" })).toEqual([
		"cost/rate.rs: cost uses coding (crate::coding)",
	]);
});

test("a room without a place is named, and so is a known circle that is gone", () => {
	expect(check({ "drawer.rs": "" })).toEqual(["drawer.rs: drawer has no place in the order of the rooms"]);
	const circle = { "model/mod.rs": "use crate::lite::x;" };
	expect(check(circle, ["model uses lite"])).toEqual([]);
	expect(check({}, ["model uses lite"])).toEqual(['"model uses lite" is no circle any more']);
});
