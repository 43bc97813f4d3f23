//! What users hold: origins of broadcasts of tracks of groups of frames.
//!
//! Parents keep children: a track its cached groups, a group its frames. Children never keep parents, and a broadcast knows its
//! tracks only weakly. Each level has a producer that writes and consumers that read; the `*Dynamic` handlers of the upper three
//! serve what somebody asks for and nobody has.
//!
//! No wake-up happens under a lock, and no lock is taken while a child's is held. The order is origin or broadcast, track, group,
//! frame, cache pool.

pub(crate) mod pool;

mod broadcast;
mod frame;
mod group;
mod origin;
mod queue;
mod route;
mod track;

pub use broadcast::*;
pub use frame::{Frame, FrameConsumer, FrameProducer};
pub use group::{Fetch, Group, GroupConsumer, GroupProducer};
pub use origin::*;
pub use route::{AnnounceEvent, Cost, MAX_HOPS, Route};
pub(crate) use track::Start;
pub use track::{
    Datagram, Gap, GapReason, GroupRequest, InOrder, InOrderStats, Subscription, TrackConsumer,
    TrackDynamic, TrackFetch, TrackInfo, TrackInfoQuery, TrackProducer, TrackRequest,
    TrackSubscribe, TrackSubscriber,
};

/// What can give a reader: a producer, or a reader itself.
pub trait Consume<C> {
    /// A new reader.
    fn consume(&self) -> C;
}

impl<C, T: Consume<C>> Consume<C> for &T {
    fn consume(&self) -> C {
        (**self).consume()
    }
}

/// Handles show what they are, not what is behind their locks.
macro_rules! opaque_debug {
    ($($handle:ident),* $(,)?) => {$(
        impl std::fmt::Debug for $handle {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($handle)).finish_non_exhaustive()
            }
        }
    )*};
}

opaque_debug!(
    AnnounceConsumer,
    AnnounceProducer,
    Announced,
    BroadcastConsumer,
    BroadcastDynamic,
    BroadcastHold,
    BroadcastProducer,
    BroadcastPublish,
    BroadcastRequest,
    BroadcastRequested,
    FrameConsumer,
    FrameProducer,
    GroupConsumer,
    GroupProducer,
    GroupRequest,
    OriginConsumer,
    OriginDynamic,
    OriginProducer,
    OriginPublish,
    TrackConsumer,
    TrackDynamic,
    TrackFetch,
    TrackInfoQuery,
    TrackProducer,
    TrackRequest,
    TrackSubscribe,
    TrackSubscriber,
);
