import type { PublisherEvent, PublisherState, PublisherStats } from "../../worker/protocol/media.ts";
import { type Connection, originOf } from "../connect/connection.ts";
import { Anchor } from "../handle/anchor.ts";
import { oneOf, record, text } from "../handle/argument.ts";
import { disposeBy } from "../handle/dispose.ts";
import { errorFrom, type MoqError } from "../handle/error.ts";
import { TypedEventTarget } from "../handle/events.ts";

/** What a {@link Publisher} needs. */
export interface PublisherOptions {
	/** Where the broadcast is offered. The publisher does not close it. */
	connection: Connection;
	/** Path of the broadcast; by convention it ends in `.hang`. */
	broadcast: string;
	/** What is published: a test pattern of 640×360 pixels, 30 a second, that needs no permission. */
	source: "test-pattern";
}

/** The encoder a publisher uses. */
export interface EncoderInfo {
	/** WebCodecs codec string. */
	codec: string;
	/** Pixels. */
	width: number;
	/** Pixels. */
	height: number;
	/** Frames per second. */
	framerate: number;
}

/** Events of a {@link Publisher}: a `CustomEvent` whose `detail` is of this type. */
export interface PublisherEventMap {
	/** The new state. */
	statechange: PublisherState;
	/** The encoder that was chosen. */
	encoder: EncoderInfo;
	/** Four times a second while encoding. */
	stats: PublisherStats;
	/** Something failed; the state tells whether for good. */
	error: MoqError;
}

/** Publishes video as a hang broadcast. Source and encoder run in the worker, and only while somebody watches. */
export class Publisher extends TypedEventTarget<PublisherEventMap> {
	/** Path of the broadcast. */
	readonly broadcast: string;
	readonly #port: MessagePort;
	readonly #anchor: Anchor;
	#state: PublisherState = "starting";
	#stats: PublisherStats | undefined;
	#encoder: EncoderInfo | undefined;

	/** Starts at once. Throws `UsageError` for bad options. */
	constructor(options: PublisherOptions) {
		super();
		record("the options", options);
		this.broadcast = text("broadcast", options.broadcast);
		const source = oneOf("source", options.source, ["test-pattern"]);
		const target = originOf(options.connection, "publish");
		const { link, id: origin } = target;
		const { port1, port2 } = new MessageChannel();
		this.#port = port1;
		this.#port.onmessage = ({ data }: MessageEvent<PublisherEvent>) => this.#event(data);
		this.#anchor = target.bind(new Anchor(link, "publisher"));
		this.#anchor.onEnd((error) => this.#end(error));
		this.#anchor.make("openPublisher", {
			publisher: this.#anchor.id,
			origin,
			broadcast: this.broadcast,
			source,
			port: port2,
		});
	}

	/** What the publisher is doing. */
	get state(): PublisherState {
		return this.#state;
	}

	/** The newest figures; undefined before anything was encoded. */
	get stats(): PublisherStats | undefined {
		return this.#stats;
	}

	/** The encoder, once one was chosen. */
	get encoder(): EncoderInfo | undefined {
		return this.#encoder;
	}

	/** Finishes the tracks and withdraws the broadcast. */
	close(): void {
		this.#anchor.close();
	}

	/** `close()`, for `using`; present where the engine has the symbol. */
	declare [Symbol.dispose]: () => void;

	#event(event: PublisherEvent): void {
		switch (event.type) {
			case "state":
				this.#setState(event.state);
				break;
			case "encoder": {
				const { codec, width, height, framerate } = event;
				this.#encoder = { codec, width, height, framerate };
				this.emit("encoder", this.#encoder);
				break;
			}
			case "stats":
				this.#stats = event.stats;
				this.emit("stats", event.stats);
				break;
			case "error":
				this.emit("error", errorFrom(event.error));
				break;
		}
	}

	#end(error: MoqError | undefined): void {
		this.#port.close();
		if (error) this.emit("error", error);
		this.#setState(error ? "error" : "closed");
	}

	#setState(state: PublisherState): void {
		if (state === this.#state) return;
		this.#state = state;
		this.emit("statechange", state);
	}
}
disposeBy(Publisher, "close");
