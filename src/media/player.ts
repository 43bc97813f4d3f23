import type {
	DrawnPicture,
	PlayerEvent,
	PlayerReport,
	PlayerRequest,
	PlayerState,
	PlayerStats,
	PlayingRendition,
} from "../../worker/protocol/media.ts";
import { type Connection, originOf } from "../connect/connection.ts";
import { Anchor } from "../handle/anchor.ts";
import { record, text } from "../handle/argument.ts";
import { disposeBy } from "../handle/dispose.ts";
import { type ClosedError, errorFrom, failure, type MoqError, usage } from "../handle/error.ts";
import { TypedEventTarget } from "../handle/events.ts";
import { type Drawing, startDrawing } from "./drawing.ts";

/** What a {@link Player} needs. */
export interface PlayerOptions {
	/** Where the broadcast comes from. The player does not close it. */
	connection: Connection;
	/** Path of the broadcast on that connection; it need not be announced yet. */
	broadcast: string;
	/** Shows the picture. It is handed to a worker for good: give each player a canvas that has no context and was never given away. */
	canvas: HTMLCanvasElement;
	/** Name of the video rendition to play while the catalog has it. Default: the best one this browser decodes. */
	rendition?: string;
	/** Read frame counter and capture time back from pictures of the test pattern; costs some time per picture. Default false. */
	readStamps?: boolean;
}

/** What was drawn since the last `drawn` event. */
export interface DrawnDetail {
	/** Oldest first. */
	pictures: DrawnPicture[];
	/** Pictures that reached the drawing worker so far. */
	received: number;
	/** Pictures closed undrawn there because a newer one was waiting. */
	overtaken: number;
	/** Size of the picture, pixels. */
	width: number;
	/** Size of the picture, pixels. */
	height: number;
}

/** Events of a {@link Player}: a `CustomEvent` whose `detail` is of this type. */
export interface PlayerEventMap {
	/** The new state. */
	statechange: PlayerState;
	/** The rendition that plays from now on. */
	rendition: PlayingRendition;
	/** Four times a second. */
	stats: PlayerStats;
	/** At most four times a second. */
	drawn: DrawnDetail;
	/** Something failed. The player goes on where it can; the state tells. */
	error: MoqError;
}

interface Question {
	resolve(report: PlayerReport): void;
	reject(error: MoqError): void;
}

/**
 * Plays the video of a broadcast on a canvas. Receiving, decoding and drawing happen in workers: a page that is busy delays
 * at most what is shown, never what is received and decoded.
 */
export class Player extends TypedEventTarget<PlayerEventMap> {
	/** Path of the broadcast. */
	readonly broadcast: string;
	readonly #port: MessagePort;
	readonly #questions = new Map<number, Question>();
	readonly #anchor: Anchor;
	readonly #drawing: Drawing;
	#nextQuestion = 1;
	#state: PlayerState = "waiting-announce";
	#stats: PlayerStats | undefined;
	#rendition: PlayingRendition | undefined;

	/** Starts at once. Throws `UsageError` for bad options and when the canvas cannot be handed over. */
	constructor(options: PlayerOptions) {
		super();
		record("the options", options);
		this.broadcast = text("broadcast", options.broadcast);
		// It may belong to another document, such as that of a frame.
		if (!String(options.canvas).includes("HTMLCanvasElement")) throw usage("canvas must be a canvas element");
		const rendition = options.rendition === undefined ? {} : { rendition: text("rendition", options.rendition) };
		const source = originOf(options.connection, "consume");
		const { link, id: origin } = source;
		this.#drawing = startDrawing(link, options.canvas, options.readStamps === true, {
			drawn: ({ pictures, received, overtaken, width, height }) =>
				this.emit("drawn", { pictures, received, overtaken, width, height }),
			failed: (error) => this.#anchor.fail(error),
		});
		const { port1, port2 } = new MessageChannel();
		this.#port = port1;
		this.#port.onmessage = ({ data }: MessageEvent<PlayerEvent>) => this.#event(data);
		this.#anchor = source.bind(new Anchor(link, "player"));
		this.#anchor.onEnd((error) => this.#end(error));
		this.#anchor.make("openPlayer", {
			player: this.#anchor.id,
			origin,
			broadcast: this.broadcast,
			...rendition,
			pictures: this.#drawing.pictures,
			port: port2,
		});
	}

	/** Why the player shows what it shows. */
	get state(): PlayerState {
		return this.#state;
	}

	/** The newest figures, four times a second; undefined before the first. */
	get stats(): PlayerStats | undefined {
		return this.#stats;
	}

	/** The rendition that plays, once one does. */
	get rendition(): PlayingRendition | undefined {
		return this.#rendition;
	}

	/**
	 * What the worker received and decoded in a span of the last 15 s, ms since the Unix epoch
	 * (`performance.timeOrigin + performance.now()`). Throws, or rejects, when the player is closed or was ended by an error.
	 */
	report(fromMs: number, toMs: number): Promise<PlayerReport> {
		this.#anchor.check();
		const id = this.#nextQuestion++;
		return new Promise((resolve, reject) => {
			this.#questions.set(id, { resolve, reject });
			this.#port.postMessage({ type: "report", id, fromMs, toMs } satisfies PlayerRequest);
		});
	}

	/** Stops everything. The last picture stays on the canvas. */
	close(): void {
		this.#anchor.close();
	}

	/** `close()`, for `using`; present where the engine has the symbol. */
	declare [Symbol.dispose]: () => void;

	#event(event: PlayerEvent): void {
		switch (event.type) {
			case "state":
				this.#setState(event.state);
				break;
			case "rendition":
				this.#rendition = event.rendition;
				this.emit("rendition", event.rendition);
				break;
			case "stats":
				this.#stats = event.stats;
				this.emit("stats", event.stats);
				break;
			case "report":
				this.#questions.get(event.id)?.resolve(event.report);
				this.#questions.delete(event.id);
				break;
			case "error":
				this.emit("error", errorFrom(event.error));
				break;
		}
	}

	#end(error: MoqError | undefined): void {
		this.#port.close();
		this.#drawing.close();
		const cause = error ?? closed();
		for (const question of this.#questions.values()) question.reject(cause);
		this.#questions.clear();
		if (error) this.emit("error", error);
		this.#setState(error ? "error" : "closed");
	}

	#setState(state: PlayerState): void {
		if (state === this.#state) return;
		this.#state = state;
		this.emit("statechange", state);
	}
}
disposeBy(Player, "close");

function closed(): ClosedError {
	return failure("closed", "the player is closed");
}
