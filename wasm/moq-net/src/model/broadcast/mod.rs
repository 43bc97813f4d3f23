//! Broadcasts: tracks by name.

mod consumer;
mod dynamic;
mod hold;
mod info;
mod producer;
mod state;

pub use consumer::BroadcastConsumer;
pub use dynamic::BroadcastDynamic;
pub use hold::BroadcastHold;
pub use info::BroadcastInfo;
pub use producer::BroadcastProducer;
pub(crate) use state::Shared;
