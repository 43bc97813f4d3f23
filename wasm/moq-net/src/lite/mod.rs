//! moq-lite: one file per message, in the form of every version.

mod compression;
mod reply;
mod stream;
mod subscribe;

#[cfg(test)]
mod check;

pub use compression::Compression;
pub use reply::{SubscribeOk, SubscribeReply, TrackProperties};
pub use stream::{ControlType, DataType};
pub use subscribe::{Preferences, Subscribe, SubscribeUpdate};
