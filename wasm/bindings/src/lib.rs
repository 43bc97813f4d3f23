//! The browser binding of the MoQ core: host transport, handle table and command buffer.
//!
//! The only crate that knows wasm-bindgen. Everything but the thin class in `wasm.rs` is plain Rust and tested natively.

mod batch;
mod clock;
mod command;
mod core;
mod error;
mod executor;
mod heap;
mod host;
mod json;
mod number;
mod object;
mod operation;
mod panic;
mod reader;
mod slab;
mod timer;
mod transport;

pub use crate::core::Core;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use crate::core::fuzzing;
pub use error::ErrorData;
