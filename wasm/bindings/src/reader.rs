//! Reads a subscription or a single group under credit and packs what it finds into batches.
//!
//! A reader is a task that pulls and a handle that steers it. Data is taken from the model only while there is credit,
//! so a slow page lets groups age where the model's own rules can skip them.

mod group;
mod pace;
mod state;
mod task;

pub(crate) use state::{Dirty, Reader};
pub(crate) use task::{Back, fetched, subscribed};
