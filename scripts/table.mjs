// Tables for a terminal and for Markdown, from the same rows.

/** Markdown whose columns also line up as plain text. Numbers go to the right. */
export function table(headings, rows) {
	const cells = [headings, ...rows].map((row) => row.map((cell) => String(cell)));
	const widths = headings.map((_, column) => Math.max(3, ...cells.map((row) => row[column].length)));
	const right = headings.map(
		(_, column) => rows.length > 0 && rows.every((row) => /^[-–\d.,± /()%]*$/.test(String(row[column]))),
	);
	const line = (row) =>
		`| ${row.map((cell, column) => (right[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column]))).join(" | ")} |`;
	const rule = `| ${widths.map((width, column) => (right[column] ? `${"-".repeat(width - 1)}:` : "-".repeat(width))).join(" | ")} |`;
	return [line(cells[0]), rule, ...cells.slice(1).map(line)].join("\n");
}
