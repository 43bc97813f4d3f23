//! Asking for a track.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use kio::Pending;

use super::{
    Shared, Subscription, TrackFetch, TrackInfoQuery, TrackSubscribe, pending::Outcome,
    state::State, subscription::Entry,
};
use crate::{
    Error, Result,
    cost::{
        gauges::{Kind, Live},
        peaks::Peak,
    },
    model::{
        Consume,
        group::{Fetch, GroupConsumer},
    },
};

/// How long a track without a group may take to show one before it counts as empty.
const EMPTY: Duration = Duration::from_secs(1);

/// A track as its readers see it, possibly before its publisher has confirmed it.
#[derive(Clone)]
pub struct TrackConsumer {
    shared: Arc<Shared>,
    channel: kio::Consumer<State>,
    _live: Live,
}

impl TrackConsumer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let channel = shared.channel.consume();
        let live = Live::new(shared.runtime(), Kind::Consumer);
        Self {
            shared,
            channel,
            _live: live,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The name.
    pub fn name(&self) -> &Arc<str> {
        &self.shared.tag.name
    }

    /// Whether both handles read the same track.
    pub fn is_clone(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Subscribes. The wishes count from this call on; the result comes when the publisher has confirmed the track.
    ///
    /// # Errors
    /// At once: the abort error, or [`Error::Dropped`]. Later: the error the request was rejected with.
    pub fn subscribe(
        &self,
        subscription: impl Into<Option<Subscription>>,
    ) -> Result<Pending<TrackSubscribe>> {
        if let Some(error) = &self.channel.read().abort {
            return Err(error.clone());
        }
        let wish = subscription.into().unwrap_or_default();
        let entry = Entry::new(&self.shared, wish);
        Ok(Pending::new(TrackSubscribe::new(
            self.shared.clone(),
            entry,
        )))
    }

    /// The properties, once the publisher has confirmed the track. This alone asks nobody: on a protocol without a track query
    /// it may wait for ever unless something else (a subscription, a fetch) makes the publisher answer.
    pub fn info(&self) -> Pending<TrackInfoQuery> {
        Pending::new(TrackInfoQuery::new(self.shared.clone()))
    }

    /// The highest sequence that was ever published live, held or not.
    pub fn latest(&self) -> Option<u64> {
        self.channel.read().latest
    }

    /// The sequence of the newest group, whether or not anybody is subscribed: a subscription of the lowest priority finds out, which
    /// ends with the first group. `None` on a track that has none: one that has ended, or that brings none within a second of being
    /// confirmed.
    ///
    /// # Errors
    /// What the request was rejected with, the abort error, or [`Error::Dropped`].
    pub fn newest(&self) -> impl Future<Output = Result<Option<u64>>> + use<> {
        let track = self.clone();
        // Who asks for it along with a subscription does not count.
        let watched = self.shared.aggregate().is_some();
        async move { track.find_newest(watched).await }
    }

    async fn find_newest(&self, watched: bool) -> Result<Option<u64>> {
        let (known, over) = {
            let state = self.channel.read();
            (state.latest, state.boundary.is_some())
        };
        if over || (watched && known.is_some()) {
            return Ok(known);
        }
        let asked = Subscription::default()
            .with_ordered(true)
            .with_max_latency(EMPTY);
        let subscriber = self.subscribe(asked)?.await?;
        let runtime = self.shared.runtime();
        // What is newer than what is known comes as soon as the publisher hears of the subscription.
        let wait = match known {
            Some(_) => runtime.limits().reorder_wait,
            None => EMPTY,
        };
        let mut timer = runtime.sleep(wait);
        kio::wait(|waiter| {
            if let Poll::Ready(Err(error)) = subscriber.poll_finished(waiter) {
                return Poll::Ready(Err(error));
            }
            let found = self.channel.poll(waiter, |state| {
                match state.latest != known || state.boundary.is_some() {
                    true => Poll::Ready(state.latest),
                    false => Poll::Pending,
                }
            });
            if let Poll::Ready(Ok(latest)) = found {
                return Poll::Ready(Ok(latest));
            }
            let over = timer
                .as_mut()
                .poll(&mut Context::from_waker(waiter.waker()));
            over.map(|()| Ok(known))
        })
        .await
    }

    /// A group from the cache. Never waits and asks nobody; an aborted group counts as absent.
    pub fn get_group(&self, sequence: u64) -> Option<GroupConsumer> {
        let group = {
            let state = self.channel.read();
            let cached = state
                .cache
                .get(sequence)
                .filter(|cached| !cached.group.is_aborted())?;
            cached.group.clone()
        };
        self.shared.touch(&group);
        Some(GroupConsumer::new(group, None))
    }

    /// A group from the cache, or from whoever serves old groups of this track. It opens no subscription. Several fetches of one
    /// group become one request.
    ///
    /// The reader starts at `frame_start`, with indices as in the whole group; past the end of a finished group it reads nothing.
    ///
    /// # Errors
    /// At once: [`Error::NotFound`] past the end of the track or when nobody serves old groups, the abort error,
    /// [`Error::Dropped`], or [`Error::NoCapacity`] when too many requests wait. Later: the same, or what the request was rejected with.
    pub fn fetch_group(
        &self,
        sequence: u64,
        fetch: impl Into<Option<Fetch>>,
    ) -> Result<Pending<TrackFetch>> {
        let Fetch {
            priority,
            frame_start,
        } = fetch.into().unwrap_or_default();
        let outcome = self.shared.change(|state, _| {
            if let Some(group) = state.cached(sequence, frame_start) {
                return Ok(Outcome::Cached(group.clone()));
            }
            state.check_open()?;
            if state.boundary.is_some_and(|boundary| sequence >= boundary) {
                return Err(Error::NotFound);
            }
            let joinable = state
                .fetches
                .get(&sequence)
                // What is on the wire already cannot be asked for an earlier frame.
                .is_some_and(|(waiting, in_service)| {
                    !in_service || waiting.frame_start <= frame_start
                });
            let answer = match joinable {
                true => state.join_fetch(sequence, priority, frame_start)?,
                false => state.start_fetch(sequence, priority, frame_start)?,
            };
            let runtime = self.shared.runtime();
            runtime.mark(Peak::GroupRequests, state.fetches.waiting());
            Ok(Outcome::Asked(answer))
        })?;
        Ok(Pending::new(TrackFetch::new(
            self.shared.clone(),
            outcome,
            frame_start,
        )))
    }
}

impl Consume<Self> for TrackConsumer {
    fn consume(&self) -> Self {
        self.clone()
    }
}
