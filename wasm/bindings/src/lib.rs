//! The browser binding of the MoQ core: host transport, handle table and command buffer.
//!
//! The only crate that knows wasm-bindgen. Everything but the thin class in `wasm.rs` is plain Rust and tested natively.

mod batch;
mod command;
mod error;
mod executor;
mod host;
mod json;
mod number;
mod slab;
mod timer;
mod transport;
