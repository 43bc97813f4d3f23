/**
 * Media on top of `moq-worker`: players and publishers without any user interface. The work is done in workers; what is
 * here are handles.
 *
 * @packageDocumentation
 */

export type {
	DrawnPicture,
	PlayerReport,
	PlayerState,
	PlayerStats,
	PlayingRendition,
	PublisherState,
	PublisherStats,
} from "../../worker/protocol/media.ts";
export { type DrawnDetail, Player, type PlayerEventMap, type PlayerOptions } from "./player.ts";
export { type EncoderInfo, Publisher, type PublisherEventMap, type PublisherOptions } from "./publisher.ts";
