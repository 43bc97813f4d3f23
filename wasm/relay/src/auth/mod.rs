//! Who may read and publish what. Every entry point asks [`Relay::authorize`](crate::relay::Relay::authorize); what it
//! gives out is scoped, so nothing behind it can reach further.

mod access;
mod asked;

pub use access::{Access, Lease, Refusal};
pub use asked::Asked;
