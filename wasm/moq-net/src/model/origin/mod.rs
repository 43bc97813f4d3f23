//! Origins: broadcasts by path.

mod announce;
mod consumer;
mod dynamic;
mod id;
mod producer;
mod route;
mod scope;
mod shared;
mod slot;
mod state;
mod viewer;

pub use announce::{AnnounceConsumer, AnnounceProducer, Announced};
pub use consumer::{BroadcastRequested, OriginConsumer};
pub use dynamic::{BroadcastRequest, OriginDynamic};
pub use id::{Origin, OriginList};
pub use producer::{BroadcastPublish, OriginProducer, OriginPublish};
pub(crate) use state::Later;
pub use viewer::Viewer;
