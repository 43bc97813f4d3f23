import type { ConnectOptions } from "moq-worker";

/** The element with this id; the page and its script belong together, so it is there. */
export function element<T extends HTMLElement = HTMLElement>(id: string): T {
	const found = document.getElementById(id);
	if (!found) throw new Error(`the page has no element #${id}`);
	return found as T;
}

/** Writes text where it differs: an unchanged page costs no layout. */
export function show(id: string, text: string): void {
	const target = element(id);
	if (target.textContent !== text) target.textContent = text;
}

/** Errors shown to people, newest last, and kept for programs. */
export class Errors {
	readonly all: string[] = [];

	/** Says what went wrong, and with what. */
	add(what: string, error: unknown): void {
		const text = `${what}: ${error instanceof Error ? error.message : String(error)}`;
		this.all.push(text);
		const list = element("errors");
		list.hidden = false;
		const item = document.createElement("li");
		item.textContent = text;
		list.append(item);
		// The newest few tell what matters; the rest would push the picture off the screen.
		while (list.childElementCount > 5) list.firstElementChild?.remove();
	}

	/** From here on, nothing that fails on this page stays unseen. */
	watchPage(): void {
		addEventListener("error", (event) => this.add("The page failed", event.error ?? event.message));
		addEventListener("unhandledrejection", (event) => this.add("The page failed", event.reason));
	}
}

/** What the page's address asks for. */
export interface Wishes {
	/** The relay's address. */
	relay: string;
	/** Path of the broadcast. */
	broadcast: string | undefined;
	options: ConnectOptions;
}

/** Reads `?relay=…&broadcast=…&transport=…`. Throws with words for a person when something is missing. */
export function wishes(): Wishes {
	const query = new URLSearchParams(location.search);
	const relay = query.get("relay");
	if (!relay)
		throw new Error(
			"no relay given: add ?relay=http://127.0.0.1:4443 with your relay's address to this page's address",
		);
	const transport = query.get("transport");
	if (transport !== null && transport !== "webtransport" && transport !== "websocket")
		throw new Error(`transport must be webtransport or websocket, not "${transport}"`);
	return {
		relay,
		broadcast: query.get("broadcast") ?? undefined,
		options: transport === null ? {} : { transport },
	};
}
