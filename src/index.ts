/**
 * Media over QUIC from a web page: connect, find broadcasts, read and write tracks. The protocol runs in a worker.
 *
 * Start with {@link connect}. Calls that wait return a {@link Pending}; everything that goes wrong is a
 * {@link MoqError}; every handle has `close()`. Importing does nothing, in browsers and elsewhere.
 */

export type { WorkerStats } from "../worker/protocol/control.ts";
export type { ErrorData, ErrorKind, ErrorScope } from "../worker/protocol/error.ts";
export type {
	AnnounceEvent,
	BroadcastInfoData as BroadcastInfo,
	CoreStats,
	GapData as Gap,
	GapReason,
	SubscriptionData as Subscription,
	TrackInfoData as TrackInfo,
	Version,
} from "../worker/protocol/model.ts";
export { Announcement, AnnounceStream } from "./announced.ts";
export { BroadcastConsumer } from "./broadcast-consumer.ts";
export { type BroadcastOptions, BroadcastProducer, type BroadcastProducerEventMap } from "./broadcast-producer.ts";
export { BroadcastRequest, type DynamicOptions, OriginDynamic } from "./broadcast-request.ts";
export { type ConnectOptions, connect } from "./connect.ts";
export {
	type Bandwidth,
	type CloseInfo,
	Connection,
	type ConnectionEventMap,
	type ConnectionState,
	type ConnectionStats,
} from "./connection.ts";
export { Dynamic, type DynamicHandler, type RequestSource } from "./dynamic.ts";
export {
	CancelledError,
	ClosedError,
	DroppedError,
	MoqError,
	NotFoundError,
	ProtocolError,
	TimeoutError,
	TransportError,
	UnauthorizedError,
	UsageError,
	VersionError,
	VersionMismatchError,
	WorkerCrashedError,
	WorkerError,
	WorkerLoadError,
} from "./error.ts";
export type { TypedEventTarget } from "./events.ts";
export { Datagram, Frame, Payload } from "./frame.ts";
export { FrameProducer } from "./frame-producer.ts";
export { GroupConsumer } from "./group-consumer.ts";
export { GroupProducer } from "./group-producer.ts";
export { GroupRequest, TrackDynamic } from "./group-request.ts";
export { Handle, type Held } from "./handle.ts";
export type { WorkerSource } from "./link/spawn.ts";
export type { WasmSource } from "./link/wasm.ts";
export { Origin, Publication } from "./origin.ts";
export type { FrameData, WriteOptions } from "./payload.ts";
export { Pending, type PendingStart, type PendingStatus, type WaitOptions } from "./pending.ts";
export { type Answerable, DynamicRequest } from "./question.ts";
export type { FrameStream } from "./reader/frame-stream.ts";
export type { SubscriberStats } from "./reader/gap.ts";
export type { RejectReason } from "./reason.ts";
export { loadRuntime, Runtime, type RuntimeOptions, type RuntimeStats } from "./runtime.ts";
export type { Token } from "./token.ts";
export { type FetchOptions, PendingSubscription, TrackConsumer } from "./track-consumer.ts";
export { type FrameInit, TrackProducer, type TrackProducerEventMap } from "./track-producer.ts";
export { BroadcastDynamic, TrackRequest } from "./track-request.ts";
export { TrackSubscriber, type TrackSubscriberEventMap } from "./track-subscriber.ts";
