//! Media over QUIC: the model, the wire codec and the sessions, independent of any transport.
#![forbid(unsafe_code)]

pub mod coding;
mod error;
mod limits;
pub mod lite;
mod path;
mod runtime;
mod time;
mod version;

pub use error::{Error, Result, Scope, Subject};
pub use limits::Limits;
pub use path::{Path, PathOwned};
pub use runtime::{Host, Runtime, Sleep};
pub use time::{Instant, Timescale, Timestamp};
pub use version::{Negotiation, Version};
