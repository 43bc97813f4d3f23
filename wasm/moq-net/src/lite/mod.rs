//! moq-lite: one file per message, in the form of every version.

mod announce;
mod codes;
mod compression;
mod credit;
mod datagram;
mod drain;
pub(crate) mod establish;
mod estimate;
mod fetch;
mod frame;
mod goaway;
mod group;
mod handshake;
mod info;
mod probe;
mod publisher;
mod reply;
mod serve;
mod session;
mod setup;
mod stream;
mod subscribe;
mod subscriber;
mod track;
mod version;

#[cfg(test)]
mod check;

pub use announce::{
    Announce, AnnounceDecoder, AnnounceEncoder, AnnounceInit, AnnounceOk, AnnounceRequest, Chain,
    Suffix,
};
pub use compression::Compression;
pub use datagram::Datagram;
pub use fetch::{Fetch, FetchOk};
pub use frame::{FrameHeader, Frames};
pub use goaway::Goaway;
pub use group::GroupHeader;
pub use handshake::{ClientSetup, Parameter, ServerSetup};
pub use info::SessionInfo;
pub use probe::Probe;
pub use reply::{SubscribeOk, SubscribeReply, TrackProperties};
pub use setup::{ProbeLevel, Role, Setup};
pub use stream::{ControlType, DataType};
pub use subscribe::{Preferences, Subscribe, SubscribeUpdate};
pub use track::{TrackInfo, TrackQuery};
pub use version::{Negotiation, Version};

/// Reads values and payload from a stream of a session.
pub type Reader<R> = crate::coding::Reader<R, Version>;

/// Writes values and payload to a stream of a session.
pub type Writer<S> = crate::coding::Writer<S, Version>;
