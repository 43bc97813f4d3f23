// Runs a program that was typed into the page, as a module of its own, and shows what it logs.
import { element, show } from "./page.ts";

/** Lines kept on the page; a program that logs for hours must not fill it. */
const MAX_LINES = 1000;

/** A logged value as text, as a console would show it on one line. */
function text(value: unknown): string {
	if (typeof value === "string") return value;
	if (value instanceof Error) return `${value.name}: ${value.message}`;
	if (typeof value !== "object" || value === null) return String(value);
	return JSON.stringify(value) ?? String(value);
}

function print(kind: "log" | "error", values: unknown[]): void {
	const item = document.createElement("li");
	item.className = kind;
	item.textContent = values.map(text).join(" ");
	const output = element("output");
	output.append(item);
	while (output.childElementCount > MAX_LINES) output.firstElementChild?.remove();
	output.scrollTop = output.scrollHeight;
}

for (const method of ["log", "info", "warn", "error"] as const) {
	const write = console[method].bind(console);
	console[method] = (...values: unknown[]) => {
		write(...values);
		print(method === "warn" || method === "error" ? "error" : "log", values);
	};
}
addEventListener("error", (event) => print("error", [event.error ?? event.message]));
addEventListener("unhandledrejection", (event) => print("error", [event.reason]));

async function run(program: string): Promise<void> {
	// A blob of its own each time: a module that was imported once is not run again.
	const url = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
	show("state", "Running …");
	try {
		await import(/* @vite-ignore */ url);
		show("state", "The program has reached its end.");
	} catch (error) {
		print("error", [error]);
		show("state", "The program ended with an error.");
	} finally {
		URL.revokeObjectURL(url);
	}
}

const form = element<HTMLFormElement>("try");
const program = element<HTMLTextAreaElement>("program");
form.addEventListener("submit", (event) => {
	event.preventDefault();
	void run(program.value);
});
program.addEventListener("keydown", (event) => {
	if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
show("relay", new URLSearchParams(location.search).get("relay") ?? "the address that npm start printed");
