//! Reading a broadcast.

use std::{sync::Arc, task::Poll};

use kio::Waiter;

use super::{BroadcastInfo, Shared, state};
use crate::{
    Error, Result,
    cost::gauges::{Kind, Live},
    model::{Consume, track::TrackConsumer},
};

/// A broadcast as its readers see it.
#[derive(Clone)]
pub struct BroadcastConsumer {
    shared: Arc<Shared>,
    info: Arc<BroadcastInfo>,
    _live: Live,
}

impl BroadcastConsumer {
    pub(crate) fn new(shared: Arc<Shared>, info: Arc<BroadcastInfo>) -> Self {
        let live = Live::new(shared.runtime(), Kind::Consumer);
        Self {
            shared,
            info,
            _live: live,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Tells it from every other broadcast of this process, and is the same whatever route it is known by.
    pub(crate) fn number(&self) -> u64 {
        self.shared.number
    }

    /// The route it is known by here.
    pub fn info(&self) -> &BroadcastInfo {
        &self.info
    }

    /// The same broadcast, known by another route.
    pub fn with_info(&self, info: BroadcastInfo) -> Self {
        Self {
            info: Arc::new(info),
            ..self.clone()
        }
    }

    /// Whether both handles read the same broadcast, by whatever route.
    pub fn is_clone(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// A track of this broadcast: the published one, the one being requested, or a new request if somebody serves them. Sends nothing
    /// on any wire by itself.
    ///
    /// # Errors
    /// [`Error::Dropped`] once the broadcast is closed, [`Error::NotFound`] for an unknown name that nobody serves,
    /// [`Error::NoCapacity`] when too many requests wait.
    pub fn track(&self, name: impl Into<Arc<str>>) -> Result<TrackConsumer> {
        self.find(name.into(), false)
    }

    /// As [`track`](Self::track), for a peer, which waits where there is a [`BroadcastHold`](super::BroadcastHold).
    pub(crate) fn track_for_peer(&self, name: impl Into<Arc<str>>) -> Result<TrackConsumer> {
        self.find(name.into(), true)
    }

    fn find(&self, name: Arc<str>, by_peer: bool) -> Result<TrackConsumer> {
        let found = match self.shared.channel.write() {
            Ok(mut state) => state::request(&mut state, name, self.shared.runtime(), by_peer)?,
            Err(_) => return Err(Error::Dropped),
        };
        Ok(found.join())
    }

    /// Whether a track of that name is here or has been asked for; asks nobody.
    pub(crate) fn has_track(&self, name: &str) -> bool {
        let state = self.shared.channel.read();
        state.find(name).is_some() || state.requests.get(&Arc::from(name)).is_some()
    }

    /// Whether every producer and handler is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.channel.is_closed()
    }

    /// Ready with [`Error::Dropped`] once every producer and handler is gone.
    pub fn poll_closed(&self, waiter: &Waiter) -> Poll<Error> {
        self.shared
            .channel
            .poll_closed(waiter)
            .map(|()| Error::Dropped)
    }

    /// Waits until the broadcast is closed; see [`poll_closed`](Self::poll_closed).
    pub async fn closed(&self) -> Error {
        kio::wait(|waiter| self.poll_closed(waiter)).await
    }
}

impl Consume<Self> for BroadcastConsumer {
    fn consume(&self) -> Self {
        self.clone()
    }
}
