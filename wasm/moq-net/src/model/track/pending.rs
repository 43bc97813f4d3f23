//! What is asked of a track and not answered yet.

use std::{
    sync::Arc,
    task::{Poll, ready},
};

use kio::{Future, Waiter};

use super::{Shared, Subscription, TrackInfo, TrackSubscriber, state::State, subscription::Entry};
use crate::{
    Error, Result,
    model::{
        group::{self, GroupConsumer},
        queue::Answer,
    },
};

/// A subscription that waits for its track to be confirmed. Dropping it withdraws the wishes.
pub struct TrackSubscribe {
    shared: Arc<Shared>,
    channel: kio::Consumer<State>,
    entry: Arc<Entry>,
}

impl TrackSubscribe {
    pub(crate) fn new(shared: Arc<Shared>, entry: Entry) -> Self {
        Self {
            channel: shared.channel.consume(),
            shared,
            entry: Arc::new(entry),
        }
    }

    /// The subscriber, once the track is confirmed. May be asked again; all subscribers it gives are one subscription.
    ///
    /// # Errors
    /// What the request was rejected with, the abort error, or [`Error::Dropped`].
    pub fn poll_ok(&self, waiter: &Waiter) -> Poll<Result<TrackSubscriber>> {
        let info = ready!(poll_info(&self.channel, waiter))?;
        Poll::Ready(Ok(TrackSubscriber::new(
            self.shared.clone(),
            self.entry.clone(),
            info,
        )))
    }

    /// Changes the wishes while waiting. Without effect once the track has ended.
    pub fn update(&mut self, subscription: Subscription) {
        self.entry.update(subscription);
    }
}

impl Future for TrackSubscribe {
    type Output = Result<TrackSubscriber>;

    fn poll(&self, waiter: &Waiter) -> Poll<Self::Output> {
        self.poll_ok(waiter)
    }
}

/// A question for the properties of a track.
pub struct TrackInfoQuery {
    channel: kio::Consumer<State>,
    _shared: Arc<Shared>,
}

impl TrackInfoQuery {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            channel: shared.channel.consume(),
            _shared: shared,
        }
    }

    /// The properties, once the track is confirmed. May be asked again.
    ///
    /// # Errors
    /// What the request was rejected with, the abort error, or [`Error::Dropped`].
    pub fn poll_ok(&self, waiter: &Waiter) -> Poll<Result<TrackInfo>> {
        poll_info(&self.channel, waiter)
    }
}

impl Future for TrackInfoQuery {
    type Output = Result<TrackInfo>;

    fn poll(&self, waiter: &Waiter) -> Poll<Self::Output> {
        self.poll_ok(waiter)
    }
}

fn poll_info(channel: &kio::Consumer<State>, waiter: &Waiter) -> Poll<Result<TrackInfo>> {
    channel
        .poll(waiter, |state| state.poll_info())
        .map(|result| result.unwrap_or(Err(Error::Dropped)))
}

/// A fetch of one group. Dropping it withdraws the request if nobody else waits for it.
pub struct TrackFetch {
    shared: Arc<Shared>,
    /// Holds the track: a fetch under way counts as a reader.
    _channel: kio::Consumer<State>,
    outcome: Outcome,
    frame_start: u64,
}

/// Where the group of a fetch comes from.
pub(crate) enum Outcome {
    Cached(Arc<group::Shared>),
    Asked(Answer<Arc<group::Shared>>),
}

impl TrackFetch {
    /// Must not be called under the lock of the track.
    pub(crate) fn new(shared: Arc<Shared>, outcome: Outcome, frame_start: u64) -> Self {
        Self {
            _channel: shared.channel.consume(),
            shared,
            outcome,
            frame_start,
        }
    }
}

impl Future for TrackFetch {
    type Output = Result<GroupConsumer>;

    fn poll(&self, waiter: &Waiter) -> Poll<Self::Output> {
        let group = match &self.outcome {
            Outcome::Cached(group) => group.clone(),
            Outcome::Asked(answer) => ready!(answer.poll(waiter, Error::Dropped))?,
        };
        self.shared.touch(&group);
        Poll::Ready(Ok(GroupConsumer::new(group, None).at(self.frame_start)))
    }
}
