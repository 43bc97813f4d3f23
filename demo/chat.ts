import type { Connection } from "moq-worker";
import { element } from "./page.ts";

/** Name of the data track that carries chat lines, one frame a line. */
const TRACK = "messages";

/** Publishes lines under `path`; the result sends one. */
export function openChat(connection: Connection, path: string): (line: string) => void {
	const track = connection.createBroadcast(path).createTrack(TRACK);
	return (line) => track.writeFrame(line);
}

/** Shows every line that arrives under `path`. Runs until the track ends. */
export async function showChat(connection: Connection, path: string, lines: string[]): Promise<void> {
	const broadcast = await connection.waitForBroadcast(path);
	const list = element("lines");
	for await (const group of await broadcast.track(TRACK).subscribe()) {
		for await (const frame of group) {
			const item = document.createElement("li");
			item.textContent = frame.text();
			lines.push(frame.text());
			list.append(item);
			list.scrollTop = list.scrollHeight;
		}
	}
}
