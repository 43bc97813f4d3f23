//! The announce stream: which broadcasts exist, and by what route.
//!
//! The messages ([`Announce`]) differ much between versions; [`AnnounceEncoder`] and [`AnnounceDecoder`], one per stream,
//! turn them into the same few events ([`AnnounceEvent`](crate::AnnounceEvent)).

mod decoder;
mod encoder;
mod request;
mod wire;

pub use decoder::AnnounceDecoder;
pub use encoder::AnnounceEncoder;
pub use request::{AnnounceInit, AnnounceOk, AnnounceRequest};
pub use wire::{Announce, Chain, Suffix};

#[cfg(test)]
mod tests;
