//! Broadcasts: tracks by name.

mod consumer;
mod dynamic;
mod info;
mod producer;
mod state;

pub use consumer::BroadcastConsumer;
pub use dynamic::BroadcastDynamic;
pub use info::{BroadcastInfo, Cost};
pub use producer::BroadcastProducer;
pub(crate) use state::Shared;
