//! Serving tracks that nobody has published.

use std::{
    sync::Arc,
    task::{Poll, ready},
};

use kio::Waiter;

use super::{BroadcastConsumer, BroadcastInfo, producer::Owner};
use crate::{Error, Result, model::track::TrackRequest};

/// Serves tracks of a broadcast on request. It keeps the broadcast open like a producer.
///
/// Clones compete for the requests. When the last one goes, requests that nobody has taken fail with [`Error::Dropped`];
/// published tracks are not touched.
pub struct BroadcastDynamic {
    owner: Arc<Owner>,
    handler: u64,
}

impl BroadcastDynamic {
    pub(crate) fn new(owner: Arc<Owner>) -> Self {
        // An owner keeps the channel open, so this does not fail; and no handler has id 0.
        let handler = owner
            .shared
            .channel
            .write()
            .map_or(0, |mut state| state.requests.add_handler(()));
        Self { owner, handler }
    }

    /// The route it is known by here.
    pub fn info(&self) -> &BroadcastInfo {
        &self.owner.info
    }

    /// Whether both handles serve the same broadcast.
    pub fn is_clone(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.owner.shared, &other.owner.shared)
    }

    /// A reader.
    pub fn consume(&self) -> BroadcastConsumer {
        BroadcastConsumer::new(self.owner.shared.clone(), self.owner.info.clone())
    }

    /// The next track somebody wants, oldest request first. Others who ask for the name meanwhile join it.
    ///
    /// # Errors
    /// [`Error::Dropped`] once the broadcast is closed.
    pub fn poll_requested_track(&mut self, waiter: &Waiter) -> Poll<Result<TrackRequest>> {
        let state = ready!(self.owner.shared.channel.poll(waiter, |state| {
            match state.requests.peek(self.handler, |_| true) {
                Some(_) => Poll::Ready(()),
                None => Poll::Pending,
            }
        }));
        let Ok(mut state) = state else {
            return Poll::Ready(Err(Error::Dropped));
        };
        let taken = state
            .requests
            .pop(self.handler, |_| true)
            .map(|(id, name, _)| (id, name));
        let request = taken.and_then(|(id, name)| state.requests.remove(&name, id));
        let Some(request) = request else {
            return Poll::Pending;
        };
        state.insert(request.shared());
        Poll::Ready(Ok(request))
    }

    /// Waits for the next track somebody wants; see [`poll_requested_track`](Self::poll_requested_track).
    ///
    /// # Errors
    /// [`Error::Dropped`] once the broadcast is closed.
    pub async fn requested_track(&mut self) -> Result<TrackRequest> {
        kio::wait(|waiter| self.poll_requested_track(waiter)).await
    }

    /// Ready with [`Error::Dropped`] once every producer and handler is gone.
    pub fn poll_closed(&self, waiter: &Waiter) -> Poll<Error> {
        self.owner
            .shared
            .channel
            .poll_closed(waiter)
            .map(|()| Error::Dropped)
    }

    /// Waits until the broadcast is closed; see [`poll_closed`](Self::poll_closed).
    pub async fn closed(&self) -> Error {
        kio::wait(|waiter| self.poll_closed(waiter)).await
    }
}

impl Clone for BroadcastDynamic {
    fn clone(&self) -> Self {
        Self::new(self.owner.clone())
    }
}

impl Drop for BroadcastDynamic {
    fn drop(&mut self) {
        // The requests are dropped, and so rejected, after unlocking.
        let orphans = self
            .owner
            .shared
            .channel
            .write()
            .map(|mut state| state.requests.remove_handler(self.handler));
        drop(orphans);
    }
}
