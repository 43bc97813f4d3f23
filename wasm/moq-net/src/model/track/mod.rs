//! Tracks: a sequence of groups under one name.

mod backfill;
mod cache;
mod consumer;
mod cursor;
mod dynamic;
mod hole;
mod in_order;
mod info;
mod lag;
mod pending;
mod producer;
mod request;
mod seen;
mod shared;
mod state;
mod subscriber;
mod subscription;

pub use consumer::TrackConsumer;
pub use dynamic::{GroupRequest, TrackDynamic};
pub use in_order::{Gap, GapReason, InOrder, InOrderStats};
pub use info::TrackInfo;
pub use pending::{TrackFetch, TrackInfoQuery, TrackSubscribe};
pub use producer::TrackProducer;
pub use request::TrackRequest;
pub(crate) use shared::{Shared, Tag, Weak};
pub(crate) use state::Start;
pub use subscriber::{Datagram, TrackSubscriber};
pub(crate) use subscription::Budget;
pub use subscription::Subscription;
