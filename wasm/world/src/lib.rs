//! The world that tests and simulations give the core: an executor that owns time, and transports that live in memory.
//!
//! Neither needs a thread, a socket or a clock, so the same tests run on native and on wasm32, and one seed gives one run.

pub mod allocator;
pub mod executor;
mod host;
pub mod transport;
