//! Media over QUIC: the model, the wire codec and the sessions, independent of any transport.
#![forbid(unsafe_code)]

mod limits;
mod runtime;
mod time;

pub use limits::Limits;
pub use runtime::{Host, Runtime, Sleep};
pub use time::{Instant, Timescale, Timestamp};
