import { connectionRequest, listen } from "../../door/ports.ts";
import type { ErrorData } from "../../protocol/error.ts";
import type { ConnectionEvent, ConnectionRequest } from "../../protocol/port.ts";

/** What the page answers when it is asked for a token. */
export type TokenAnswer = { token?: string; error?: ErrorData };

/** The worker's end of the port of a connection. */
export class PagePort {
	readonly #port: MessagePort;
	#answer: ((answer: TokenAnswer) => void) | undefined;

	/** `hurry`: now is a good time for another dial. `leave`: the page is put aside. `refuse`: it sent what is no message. */
	constructor(
		port: MessagePort,
		{ hurry, leave, refuse }: { hurry(): void; leave(): void; refuse(error: ErrorData): void },
	) {
		this.#port = port;
		const hear = (request: ConnectionRequest) => {
			switch (request.type) {
				case "token":
					this.#answer?.(request);
					return;
				case "hurry":
					hurry();
					return;
				case "leave":
					leave();
					return;
				default:
					request satisfies never;
			}
		};
		listen(port, connectionRequest, hear, refuse);
	}

	post(event: ConnectionEvent): void {
		this.#port.postMessage(event);
	}

	/** Ask the page for a token of now. Waits as long as the page does. @throws the signal's reason. */
	askToken(signal: AbortSignal): Promise<TokenAnswer> {
		return new Promise((resolve, reject) => {
			const abort = () => settle(() => reject(signal.reason));
			const settle = (how: () => void) => {
				this.#answer = undefined;
				signal.removeEventListener("abort", abort);
				how();
			};
			this.#answer = (answer) => settle(() => resolve(answer));
			signal.addEventListener("abort", abort, { once: true });
			this.post({ type: "token" });
		});
	}

	close(): void {
		this.#port.close();
	}
}
