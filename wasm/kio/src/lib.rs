//! Shared state cells with weak wake-ups: the poll primitive under the MoQ model.
#![forbid(unsafe_code)]

mod maybe;

pub use maybe::{MaybeSend, MaybeSync};
