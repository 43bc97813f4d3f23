//! Media over QUIC: the model, the wire codec and the sessions, independent of any transport.
#![forbid(unsafe_code)]
#![cfg_attr(
    target_arch = "wasm32",
    allow(
        clippy::arc_with_non_send_sync,
        reason = "one source for both targets: where there are no threads, the caller's world need not be Send"
    )
)]

mod client;
pub mod coding;
mod cost;
mod error;
mod link;
pub mod lite;
mod map;
mod model;
mod path;
mod runtime;
mod server;
mod session;
mod tasks;
#[cfg(test)]
mod test_host;
mod time;
mod upstream;

pub use client::{Client, Config};
#[cfg(feature = "faults")]
pub use cost::Peaks;
pub use cost::{Flow, Limits, Rate, Stats, Traffic};
pub use error::{Error, Result, Scope, Subject};
pub use link::{Bandwidth, Close};
pub use lite::{Negotiation, Role, Version};
pub use model::{
    AnnounceConsumer, AnnounceEvent, AnnounceProducer, Announced, BroadcastConsumer,
    BroadcastDynamic, BroadcastHold, BroadcastInfo, BroadcastProducer, BroadcastPublish,
    BroadcastRequest, BroadcastRequested, Consume, Cost, Datagram, Fetch, Frame, FrameConsumer,
    FrameProducer, Gap, GapReason, Group, GroupConsumer, GroupProducer, GroupRequest, InOrder,
    InOrderStats, MAX_HOPS, Origin, OriginConsumer, OriginDynamic, OriginList, OriginProducer,
    OriginPublish, Route, Subscription, TrackConsumer, TrackDynamic, TrackFetch, TrackInfo,
    TrackInfoQuery, TrackProducer, TrackRequest, TrackSubscribe, TrackSubscriber, Viewer,
};
pub use path::{Path, PathOwned};
pub use runtime::{Host, Runtime};
pub use server::{Request, Server};
pub use session::{Driver, Session};
pub use time::{Instant, Sleep, Timescale, Timestamp};
pub use upstream::{Supply, Upstream, Upstreams};
