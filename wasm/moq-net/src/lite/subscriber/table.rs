//! Our subscriptions by the ids that group streams name.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::Poll,
};

use kio::{Shared, Waiter};

use crate::{
    Error, Result, TrackProducer,
    cost::rate::{Bucket, Rate},
    lite::Compression,
    map::Map,
};

/// The subscriptions of one session.
#[derive(Clone)]
pub(crate) struct Subscriptions {
    table: Arc<Mutex<Table>>,
    /// New groups of each.
    rate: Rate,
}

#[derive(Default)]
struct Table {
    next: u64,
    live: Map<u64, Subscription>,
}

/// One subscription, as the streams that belong to it see it.
#[derive(Clone)]
pub(crate) struct Subscription {
    state: Shared<State>,
    /// How often a new group may come.
    pub(super) pace: Arc<Bucket>,
    /// The priority the publisher was told last.
    priority: Arc<AtomicU8>,
    /// Whether the publisher said that payloads are packed.
    packed: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    /// Where groups go, once the track is known.
    track: Option<TrackProducer>,
    /// The first sequence that will never come.
    end: Option<u64>,
    /// The first group, once the publisher has said so.
    start: Option<u64>,
    /// Different groups from there on that came so far, as streams or datagrams, and those the publisher said will not come.
    accounted: u64,
    /// The highest group so far.
    highest: Option<u64>,
    /// Group streams so far.
    streams: u64,
    /// The publisher broke the rules: the track fails.
    violated: bool,
}

impl Subscriptions {
    /// No subscriptions, each of which may have new groups at this rate.
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            table: Arc::default(),
            rate,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new id. Streams that name it are taken from now on, even before the track is known.
    pub(crate) fn register(&self) -> Registration {
        let mut table = self.lock();
        let id = table.next;
        table.next += 1;
        let subscription = Subscription {
            state: Shared::default(),
            pace: Arc::new(Bucket::new(self.rate)),
            priority: Arc::default(),
            packed: Arc::default(),
        };
        table.live.insert(id, subscription.clone());
        drop(table);
        Registration {
            table: self.clone(),
            id,
            subscription,
        }
    }

    pub(super) fn get(&self, id: u64) -> Option<Subscription> {
        self.lock().live.get(&id).cloned()
    }
}

/// An id for as long as its subscription lives; streams that name it later are refused.
pub(crate) struct Registration {
    table: Subscriptions,
    id: u64,
    subscription: Subscription,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.table.lock().live.remove(&self.id);
        // Wakes streams that still wait for the track: it will not come.
        let track = self.subscription.state.lock().track.take();
        drop(track);
        self.subscription.state.lock().violated = true;
    }
}

impl Registration {
    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    /// Says which priority the publisher was told.
    pub(crate) fn set_priority(&self, priority: u8) {
        self.subscription
            .priority
            .store(priority, Ordering::Relaxed);
    }

    /// Says how payloads are packed, before anybody knows where groups go.
    pub(crate) fn set_compression(&self, compression: Compression) {
        let packed = compression == Compression::Deflate;
        self.subscription.packed.store(packed, Ordering::Relaxed);
    }

    /// Says where groups go.
    pub(crate) fn set_track(&self, track: &TrackProducer) {
        self.subscription.state.lock().track = Some(track.clone());
    }

    /// Where groups go, once that is known.
    pub(crate) fn track(&self) -> Option<TrackProducer> {
        self.subscription.state.lock().track.clone()
    }

    /// Takes the declared start of the subscription: what comes of older groups is not among those that are waited for.
    pub(crate) fn set_start(&self, start: u64) {
        self.subscription.state.lock().start = Some(start);
    }

    /// Takes the declared end of the track.
    ///
    /// # Errors
    /// [`Error::ProtocolViolation`] when a group beyond it has already come.
    pub(crate) fn set_end(&self, end: u64) -> Result<()> {
        let mut state = self.subscription.state.lock();
        if state.highest.is_some_and(|highest| highest >= end) {
            return Err(Error::ProtocolViolation);
        }
        state.end = Some(end);
        Ok(())
    }

    /// Takes note of groups that will not come.
    pub(crate) fn skip(&self, groups: u64) {
        let mut state = self.subscription.state.lock();
        state.accounted = state.accounted.saturating_add(groups);
    }

    /// The sequence after the highest group so far.
    pub(crate) fn after_highest(&self) -> u64 {
        let state = self.subscription.state.lock();
        state.highest.map_or(0, |highest| highest.saturating_add(1))
    }

    /// Ready once `count` different groups have come, or `streams` streams, whichever is asked for.
    pub(crate) fn poll_accounted(
        &self,
        waiter: &Waiter,
        count: Option<u64>,
        streams: Option<u64>,
    ) -> Poll<()> {
        self.subscription.state.poll(waiter, |state| {
            let groups = count.is_some_and(|count| state.accounted >= count);
            let streams = streams.is_some_and(|streams| state.streams >= streams);
            match groups || streams {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
    }

    /// Ready once a stream of this subscription broke the rules.
    pub(crate) fn poll_violated(&self, waiter: &Waiter) -> Poll<()> {
        self.subscription
            .state
            .poll(waiter, |state| match state.violated {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
    }
}

impl Subscription {
    /// The priority the publisher was told last.
    pub(super) fn priority(&self) -> u8 {
        self.priority.load(Ordering::Relaxed)
    }

    /// How payloads are packed.
    pub(super) fn compression(&self) -> Compression {
        match self.packed.load(Ordering::Relaxed) {
            true => Compression::Deflate,
            false => Compression::None,
        }
    }

    /// Takes note of a stream or datagram with group `sequence`.
    ///
    /// # Errors
    /// [`Error::Closed`] beyond the declared end.
    pub(super) fn arrive(&self, sequence: u64) -> Result<()> {
        let mut state = self.state.lock();
        match state.end.is_some_and(|end| sequence >= end) {
            true => Err(Error::Closed),
            false => {
                state.highest = state.highest.max(Some(sequence));
                Ok(())
            }
        }
    }

    /// Counts a group stream that was taken, whatever became of it.
    pub(super) fn count_stream(&self) {
        self.state.lock().streams += 1;
    }

    /// Counts a group that had not come before.
    pub(super) fn account(&self, sequence: u64) {
        let mut state = self.state.lock();
        if state.start.is_none_or(|start| sequence >= start) {
            state.accounted = state.accounted.saturating_add(1);
        }
    }

    /// Fails the track: the publisher broke the rules.
    pub(super) fn violate(&self) {
        self.state.lock().violated = true;
    }

    /// Waits until it is known where groups go; `None` when the subscription ended before.
    pub(super) async fn track(&self) -> Option<TrackProducer> {
        kio::wait(|waiter| {
            self.state
                .poll(waiter, |state| match (&state.track, state.violated) {
                    (Some(track), _) => Poll::Ready(Some(track.clone())),
                    (None, true) => Poll::Ready(None),
                    (None, false) => Poll::Pending,
                })
        })
        .await
    }
}
