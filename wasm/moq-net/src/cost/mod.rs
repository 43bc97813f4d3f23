//! What a peer may make this side hold or do, and what it has: bounds, counts and rates. Knows no protocol and no model.

pub(crate) mod gauges;
pub(crate) mod held;
mod limits;
pub(crate) mod peaks;
pub(crate) mod permits;
pub(crate) mod rate;
pub(crate) mod traffic;

pub use gauges::Stats;
pub use limits::Limits;
#[cfg(feature = "faults")]
pub use peaks::Peaks;
pub use rate::Rate;
pub use traffic::{Flow, Traffic};
