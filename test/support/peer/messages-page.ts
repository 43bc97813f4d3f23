import { type MessagesAt, type Outcome, programs, run } from "./messages.ts";

declare global {
	var messages: { names: string[]; run(name: string, at: MessagesAt, repeat: number): Promise<Outcome[]> };
}

globalThis.messages = { names: Object.keys(programs), run };
