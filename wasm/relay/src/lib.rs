//! The embedded MoQ relay.
//!
//! It holds what needs an operating system: sockets, TLS, HTTP and configuration. Routing, caching
//! and track serving are the core's (`moq-net`), the same code that runs in the browser.

pub mod admission;
pub mod auth;
pub mod bounds;
mod budget;
pub mod certificate;
pub mod dial;
mod drain;
mod fetch;
pub mod flags;
pub mod host;
mod http;
mod internal;
pub mod lines;
pub mod links;
pub mod log;
pub mod metrics;
pub mod quic;
pub mod relay;
pub mod server;
mod tls;
pub mod tools;
pub mod web;
mod webtransport;
