//! What the tests of this crate run on: an executor that owns time, and a transport that lives in memory.
//!
//! Neither needs a thread, a socket or a clock, so the same test files run on native and on wasm32.

// Every test binary compiles this module and uses a part of it.
#![allow(dead_code, unused_imports, unreachable_pub, missing_docs)]

pub use moq_worker_world::{executor, transport};

pub mod downstream;
pub mod look;
pub mod net;
pub mod raw;
pub mod upstream;
