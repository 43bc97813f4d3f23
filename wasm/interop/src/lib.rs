//! Our core and the published one over one in-memory connection, and a bench publisher.

pub mod link;
pub mod ours;
pub mod pair;
pub mod published;
pub mod world;
