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
	BandwidthData as Bandwidth,
	BroadcastInfoData as BroadcastInfo,
	CloseData as CloseInfo,
	CoreStats,
	GapData as Gap,
	GapReason,
	ReconnectData as ReconnectPolicy,
	SessionStatsData as ConnectionStats,
	SubscriptionData as Subscription,
	TrackInfoData as TrackInfo,
	Version,
} from "../worker/protocol/model.ts";
export { type ConnectOptions, connect } from "./connect/connect.ts";
export { Connection, type ConnectionEventMap, type ConnectionState, type Reconnecting } from "./connect/connection.ts";
export type { DialOptions, ReconnectOptions } from "./connect/options.ts";
export { loadRuntime, Runtime, type RuntimeOptions, type RuntimeStats } from "./connect/runtime.ts";
export type { Token } from "./connect/token.ts";
export {
	CancelledError,
	ClosedError,
	DroppedError,
	isMoqError,
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
} from "./handle/error.ts";
export type { TypedEventTarget } from "./handle/events.ts";
export { Handle, type Held } from "./handle/handle.ts";
export { Pending, type PendingStart, type PendingStatus, type WaitOptions } from "./handle/pending.ts";
export { type Answerable, DynamicRequest } from "./handle/question.ts";
export type { RejectReason } from "./handle/reason.ts";
export type { WorkerSource } from "./link/spawn.ts";
export type { WasmSource } from "./link/wasm.ts";
export { Announcement, AnnounceStream } from "./model/announced.ts";
export { BroadcastConsumer } from "./model/broadcast-consumer.ts";
export {
	type BroadcastOptions,
	BroadcastProducer,
	type BroadcastProducerEventMap,
	type ConflictInfo,
} from "./model/broadcast-producer.ts";
export { BroadcastRequest, type DynamicOptions, OriginDynamic } from "./model/broadcast-request.ts";
export { Dynamic, type DynamicHandler, type RequestSource } from "./model/dynamic.ts";
export { Datagram, Frame, Payload } from "./model/frame.ts";
export { FrameProducer } from "./model/frame-producer.ts";
export { GroupConsumer } from "./model/group-consumer.ts";
export { GroupProducer } from "./model/group-producer.ts";
export { GroupRequest, TrackDynamic } from "./model/group-request.ts";
export { Origin, Publication } from "./model/origin.ts";
export type { FrameData, WriteOptions } from "./model/payload.ts";
export { type FetchOptions, PendingSubscription, TrackConsumer } from "./model/track-consumer.ts";
export { type FrameInit, TrackProducer, type TrackProducerEventMap } from "./model/track-producer.ts";
export { BroadcastDynamic, TrackRequest } from "./model/track-request.ts";
export { TrackSubscriber, type TrackSubscriberEventMap } from "./model/track-subscriber.ts";
export type { FrameStream } from "./read/frame-stream.ts";
export type { SubscriberStats } from "./read/gap.ts";
