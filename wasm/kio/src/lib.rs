//! Shared state cells with weak wake-ups: the poll primitive under the MoQ model.
//!
//! A [`Producer`] writes a value that any number of [`Consumer`]s watch. Waiting is a poll with a
//! [`Waiter`] that the waiting side keeps: lists hold it weakly, so dropping it withdraws it. An
//! operation under way implements [`Future`]; [`Pending`] turns it into a `std` future and is the
//! only place that stores a waiter. Wakers run after the lock is released, one channel at a time.
#![forbid(unsafe_code)]

mod consumer;
#[doc(hidden)]
pub mod fault;
mod future;
#[cfg(all(test, loom))]
mod loom;
mod maybe;
mod producer;
mod shared;
mod state;
mod sync;
mod waiter;
mod weak;

pub use consumer::Consumer;
pub use future::{Future, Pending, wait};
pub use maybe::{MaybeSend, MaybeSync};
pub use producer::{Closed, Producer};
pub use shared::{Shared, SharedMut};
pub use state::{Mut, Ref};
pub use waiter::{Waiter, WaiterList};
pub use weak::Weak;
