//! Reading a track live.

use std::{
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use kio::Waiter;

use super::{
    InOrder, InOrderStats, Shared, Subscription, TrackConsumer, TrackInfo,
    cursor::{Arrivals, Bounds},
    in_order::{Ask, Ordered, Step},
    state::State,
    subscription::Entry,
};
use crate::{
    Error, Fetch, Instant, Result, Timestamp,
    cost::{
        gauges::{Kind, Live},
        peaks::Peak,
    },
    map::Map,
    model::group::{self, Freshness, GroupConsumer},
};

/// Reads a track live. Its wishes count for the publisher as long as it lives.
///
/// `recv_group`, `next_group`, `next_in_order`, `read_frame` and `recv_datagram` have a cursor each, so one owner may use several
/// of them side by side. All begin at the oldest group in the cache.
pub struct TrackSubscriber {
    shared: Arc<Shared>,
    channel: kio::Consumer<State>,
    entry: Arc<Entry>,
    info: TrackInfo,
    bounds: Bounds,
    /// `recv_group`.
    arrivals: Arrivals,
    /// `next_group`: the smallest sequence it may return. `None` after the largest there is.
    next: Option<u64>,
    /// `next_in_order`.
    ordered: Ordered,
    /// When it began.
    since: Instant,
    /// A range with an end needs to know whether it lies behind the live edge: a wish for the newest group, until one comes.
    edge: Option<Entry>,
    /// `read_frame`: the smallest sequence it may read (`None` as above), and the groups it waits for.
    frame_next: Option<u64>,
    reading: Map<u64, GroupConsumer>,
    /// `recv_datagram`: the next arrival number.
    datagram_next: u64,
    _live: Live,
}

/// A datagram of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Its sequence, which it shares with the groups of the track.
    pub sequence: u64,
    /// Presentation time, on timed tracks.
    pub timestamp: Option<Timestamp>,
    /// The bytes.
    pub payload: Bytes,
}

impl TrackSubscriber {
    pub(crate) fn new(shared: Arc<Shared>, entry: Arc<Entry>, info: TrackInfo) -> Self {
        let channel = shared.channel.consume();
        let live = Live::new(shared.runtime(), Kind::Consumer);
        let since = shared.runtime().now();
        Self {
            shared,
            channel,
            entry,
            info,
            bounds: Bounds::default(),
            arrivals: Arrivals::default(),
            next: Some(0),
            ordered: Ordered::default(),
            since,
            edge: None,
            frame_next: Some(0),
            reading: Map::new(),
            datagram_next: 0,
            _live: live,
        }
    }

    /// The name.
    pub fn name(&self) -> &Arc<str> {
        &self.shared.tag.name
    }

    /// The properties, fixed since the track was confirmed.
    pub const fn info(&self) -> &TrackInfo {
        &self.info
    }

    /// Whether both handles read the same track.
    pub fn is_clone(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// This subscriber's own wishes.
    pub fn subscription(&self) -> Subscription {
        self.entry.wish()
    }

    /// Replaces this subscriber's wishes.
    pub fn update(&self, subscription: Subscription) {
        self.entry.update(subscription);
    }

    /// Delivers no group below `sequence` from now on. A local filter; the publisher is not told.
    pub const fn start_at(&mut self, sequence: u64) {
        self.bounds.start = sequence;
    }

    /// Delivers no group above `sequence` (`None`: no cap). Groups above wait, as long as they are cached, until the cap is raised.
    /// A local filter; the publisher is not told.
    pub fn end_at(&mut self, sequence: impl Into<Option<u64>>) {
        self.bounds.end = sequence.into();
    }

    /// The highest sequence that was ever published live, held or not.
    pub fn latest(&self) -> Option<u64> {
        self.channel.read().latest
    }

    fn open(&self, group: Arc<group::Shared>) -> GroupConsumer {
        self.shared.touch(&group);
        let freshness = Freshness {
            track: Arc::downgrade(&self.shared),
            budget: self.entry.budget.clone(),
        };
        GroupConsumer::new(group, Some(freshness))
    }

    /// The next group in order of arrival, each live group once. `None` when the track is finished and nothing that is cached is left.
    ///
    /// # Errors
    /// The abort error.
    pub fn poll_recv_group(&mut self, waiter: &Waiter) -> Poll<Result<Option<GroupConsumer>>> {
        let group = ready!(self.channel.poll(waiter, |state| {
            state.poll_arrival(&mut self.arrivals, self.bounds)
        }));
        Poll::Ready(Ok(flatten(group)?.map(|group| self.open(group))))
    }

    /// Waits for the next group in order of arrival; see [`poll_recv_group`](Self::poll_recv_group).
    ///
    /// # Errors
    /// The abort error.
    pub async fn recv_group(&mut self) -> Result<Option<GroupConsumer>> {
        kio::wait(|waiter| self.poll_recv_group(waiter)).await
    }

    /// As [`poll_recv_group`](Self::poll_recv_group), with the lowest sequence first among the groups that are there.
    pub(crate) fn poll_recv_lowest(
        &mut self,
        waiter: &Waiter,
    ) -> Poll<Result<Option<GroupConsumer>>> {
        let group = ready!(self.channel.poll(waiter, |state| {
            state.poll_lowest(&mut self.arrivals, self.bounds)
        }));
        Poll::Ready(Ok(flatten(group)?.map(|group| self.open(group))))
    }

    /// Whether the track had groups when this subscriber came.
    pub(crate) fn found_groups(&self) -> bool {
        self.entry.joined.is_some()
    }

    /// The lowest group that comes, as soon as that is clear.
    pub(crate) fn poll_start(&mut self, waiter: &Waiter) -> Poll<u64> {
        loop {
            let runtime = self.shared.runtime();
            let ask = Ask {
                now: runtime.now(),
                runtime,
                budget: Duration::MAX,
                joined: self.entry.joined,
                first: None,
                last: None,
                bounds: self.bounds,
            };
            let mut deadline = None;
            let start = self.channel.poll(waiter, |state| match state.begin(&ask) {
                Ok(start) => Poll::Ready(start),
                Err(Step::Wait(until)) => {
                    deadline = until;
                    Poll::Pending
                }
                Err(_) => Poll::Pending,
            });
            match start {
                Poll::Ready(Ok(start)) => return Poll::Ready(start),
                // It failed, which is said elsewhere.
                Poll::Ready(Err(_)) => return Poll::Pending,
                Poll::Pending => ready!(self.ordered.poll_timer(deadline, runtime, waiter)),
            }
        }
    }

    /// The group with the smallest sequence above the last one it returned; groups that come later than that are skipped. `None`
    /// when the track is finished and no such group can come.
    ///
    /// # Errors
    /// The abort error.
    pub fn poll_next_group(&mut self, waiter: &Waiter) -> Poll<Result<Option<GroupConsumer>>> {
        let group = ready!(
            self.channel
                .poll(waiter, |state| state.poll_next(self.next, self.bounds))
        );
        let group = flatten(group)?;
        if let Some(group) = &group {
            self.next = group.sequence.checked_add(1);
        }
        Poll::Ready(Ok(group.map(|group| self.open(group))))
    }

    /// Waits for the next group in order of sequence; see [`poll_next_group`](Self::poll_next_group).
    ///
    /// # Errors
    /// The abort error.
    pub async fn next_group(&mut self) -> Result<Option<GroupConsumer>> {
        kio::wait(|waiter| self.poll_next_group(waiter)).await
    }

    /// The groups in sequence without loss. A missing group is waited for until the `max_latency` of the subscription (at most the
    /// `cache` of the track) has passed since a later one came; those behind it are kept meanwhile. One that is given up is
    /// reported once, in its place. `None` after the last group of the subscription or the track.
    ///
    /// A reader with a `group_start` is given the groups from there on whoever else reads: those that are not in the cache are asked
    /// for, no further ahead than `fetches` groups and `reorder_bytes`. A reader without one begins where the publisher says that it begins, or with the first group once no older one
    /// has come for `reorder_wait`.
    ///
    /// # Errors
    /// The abort error.
    pub fn poll_next_in_order(&mut self, waiter: &Waiter) -> Poll<Result<Option<InOrder>>> {
        self.ordered.backfill.poll(waiter);
        loop {
            let wish = self.entry.wish();
            let ask = Ask {
                now: self.shared.runtime().now(),
                runtime: self.shared.runtime(),
                budget: wish.max_latency.min(self.info.cache),
                joined: self.entry.joined,
                first: wish.group_start,
                last: wish.group_end,
                bounds: self.bounds,
            };
            let ordered = &mut self.ordered;
            let mut deadline = None;
            let step =
                self.channel
                    .poll(waiter, |state| match state.next_in_order(ordered, &ask) {
                        Ok(Step::Wait(until)) => {
                            deadline = until;
                            Poll::Pending
                        }
                        step => Poll::Ready(step),
                    });
            let step = flatten_poll(step);
            self.ordered.release();
            let Poll::Ready(step) = step else {
                let deadline = match deadline {
                    Some(deadline) => Some(deadline),
                    None => self.find_edge(&wish),
                };
                let runtime = self.shared.runtime();
                ready!(self.ordered.poll_timer(deadline, runtime, waiter));
                continue;
            };
            let step = step?;
            if let Step::Fetch(sequence) = step {
                self.fetch(sequence, wish.priority, waiter);
                continue;
            }
            self.ordered.disarm();
            return Poll::Ready(Ok(match step {
                Step::Group(group) => Some(InOrder::Group(self.open(group))),
                Step::Gap(gap) => Some(InOrder::Gap(gap)),
                Step::End | Step::Wait(_) | Step::Fetch(_) => None,
            }));
        }
    }

    /// Asks for a group of the range.
    fn fetch(&mut self, sequence: u64, priority: u8, waiter: &Waiter) {
        let runtime = self.shared.runtime();
        let retry = runtime.now() + runtime.limits().reorder_wait;
        let track = TrackConsumer::new(self.shared.clone());
        let fetch = track.fetch_group(sequence, Fetch::default().with_priority(priority));
        if self.ordered.backfill.ask(sequence, fetch, retry, waiter) {
            self.ordered.backfill.poll(waiter);
        }
    }

    /// Asks for the newest group where the end of the range may hide that it is past. When to do so, until then.
    fn find_edge(&mut self, wish: &Subscription) -> Option<Instant> {
        let unknown = {
            let state = self.channel.read();
            state.latest.is_none() && state.boundary.is_none() && state.abort.is_none()
        };
        if !unknown || wish.group_end.is_none() {
            self.edge = None;
            return None;
        }
        let runtime = self.shared.runtime();
        let due = self.since + runtime.limits().reorder_wait;
        if self.edge.is_none() && runtime.now() < due {
            return Some(due);
        }
        let wish = Subscription::default();
        self.edge
            .get_or_insert_with(|| Entry::new(&self.shared, wish));
        None
    }

    /// Waits for the next group in sequence; see [`poll_next_in_order`](Self::poll_next_in_order).
    ///
    /// # Errors
    /// The abort error.
    pub async fn next_in_order(&mut self) -> Result<Option<InOrder>> {
        kio::wait(|waiter| self.poll_next_in_order(waiter)).await
    }

    /// What [`next_in_order`](Self::next_in_order) has been through so far.
    pub const fn in_order_stats(&self) -> InOrderStats {
        self.ordered.stats
    }

    /// The first frame of the next group that has it ready; the rest of that group and older groups are skipped. For tracks with
    /// one frame per group. `None` when the track is finished and no group that is still open can bring one.
    ///
    /// # Errors
    /// The abort error.
    pub fn poll_read_frame(&mut self, waiter: &Waiter) -> Poll<Result<Option<Bytes>>> {
        let mut groups = Vec::new();
        let mut over = false;
        // Never ready unless the track failed: new groups must wake us whatever the known ones say.
        let failed = self.channel.poll(waiter, |state| {
            if let Some(error) = &state.abort {
                return Poll::Ready(error.clone());
            }
            groups = state.readable(self.frame_next, self.bounds);
            over = state.boundary.is_some() && !state.has_capped(self.frame_next, self.bounds);
            Poll::Pending
        });
        if let Poll::Ready(failed) = failed {
            return Poll::Ready(Err(failed.unwrap_or(Error::Dropped)));
        }
        let mut waiting = std::mem::take(&mut self.reading);
        for group in groups {
            let sequence = group.sequence;
            let mut reader = waiting
                .remove(&sequence)
                .unwrap_or_else(|| self.open(group));
            match reader.poll_read_frame(waiter) {
                Poll::Ready(Ok(Some(payload))) => {
                    self.frame_next = sequence.checked_add(1);
                    self.reading = Map::new();
                    return Poll::Ready(Ok(Some(payload)));
                }
                // An empty or failed group has nothing to give.
                Poll::Ready(Ok(None) | Err(_)) => {}
                Poll::Pending => {
                    self.reading.insert(sequence, reader);
                }
            }
        }
        match over && self.reading.is_empty() {
            true => Poll::Ready(Ok(None)),
            false => Poll::Pending,
        }
    }

    /// Waits for the next frame; see [`poll_read_frame`](Self::poll_read_frame).
    ///
    /// # Errors
    /// The abort error.
    pub async fn read_frame(&mut self) -> Result<Option<Bytes>> {
        kio::wait(|waiter| self.poll_read_frame(waiter)).await
    }

    /// The next datagram, in order of arrival. Those that wait too long, or behind too many others, are dropped and counted. `None`
    /// when the track is finished and nothing is left.
    ///
    /// # Errors
    /// The abort error.
    pub fn poll_recv_datagram(&mut self, waiter: &Waiter) -> Poll<Result<Option<Datagram>>> {
        loop {
            let Some(group) = ready!(self.poll_datagram_group(waiter))? else {
                return Poll::Ready(Ok(None));
            };
            if let Some(datagram) = self.open(group).datagram() {
                return Poll::Ready(Ok(Some(datagram)));
            }
            // The cache gave it up in this moment: the next one.
        }
    }

    fn poll_datagram_group(&mut self, waiter: &Waiter) -> Poll<Result<Option<Arc<group::Shared>>>> {
        let runtime = self.shared.runtime();
        let (now, limits) = (runtime.now(), runtime.limits());
        let mut dropped = 0;
        let next = &mut self.datagram_next;
        let bounds = self.bounds;
        let found = self.channel.poll(waiter, |state| {
            state.poll_datagram(next, bounds, |waiting| {
                let excess = waiting.len().saturating_sub(limits.datagrams);
                let late =
                    |group: &group::Shared| now.duration_since(group.arrived) > limits.datagram_age;
                let fresh = waiting[excess..].iter().position(|(_, group)| !late(group));
                let skip = fresh.map_or(waiting.len(), |at| excess + at);
                dropped = skip;
                runtime.mark(Peak::Datagrams, waiting.len() - skip);
                skip
            })
        });
        runtime.gauges().add_dropped_datagrams(dropped);
        flatten_poll(found)
    }

    /// Waits for the next datagram; see [`poll_recv_datagram`](Self::poll_recv_datagram).
    ///
    /// # Errors
    /// The abort error.
    pub async fn recv_datagram(&mut self) -> Result<Option<Datagram>> {
        kio::wait(|waiter| self.poll_recv_datagram(waiter)).await
    }

    /// The group of one sequence, once it comes; `None` only at or after the end of the track.
    ///
    /// # Errors
    /// The abort error; [`Error::Dropped`] when nobody is left who could bring it.
    pub fn poll_get_group(
        &self,
        waiter: &Waiter,
        sequence: u64,
    ) -> Poll<Result<Option<GroupConsumer>>> {
        let group = ready!(
            self.channel
                .poll(waiter, |state| state.poll_group(sequence))
        );
        Poll::Ready(Ok(flatten(group)?.map(|group| self.open(group))))
    }

    /// Waits for the group of one sequence; see [`poll_get_group`](Self::poll_get_group).
    ///
    /// # Errors
    /// As `poll_get_group`.
    pub async fn get_group(&self, sequence: u64) -> Result<Option<GroupConsumer>> {
        kio::wait(|waiter| self.poll_get_group(waiter, sequence)).await
    }

    /// The first sequence that will never exist, once the publisher has ended the track.
    ///
    /// # Errors
    /// The abort error.
    pub fn poll_finished(&self, waiter: &Waiter) -> Poll<Result<u64>> {
        flatten_poll(self.channel.poll(waiter, |state| state.poll_finished()))
    }

    /// Waits for the end of the track; see [`poll_finished`](Self::poll_finished).
    ///
    /// # Errors
    /// The abort error.
    pub async fn finished(&self) -> Result<u64> {
        kio::wait(|waiter| self.poll_finished(waiter)).await
    }

    /// Ready once the publisher has ended the track, even if groups are still to come.
    ///
    /// # Errors
    /// The abort error.
    pub fn poll_closed(&self, waiter: &Waiter) -> Poll<Result<()>> {
        self.poll_finished(waiter).map_ok(|_| ())
    }

    /// Waits until the publisher has ended the track; see [`poll_closed`](Self::poll_closed).
    ///
    /// # Errors
    /// The abort error.
    pub async fn closed(&self) -> Result<()> {
        kio::wait(|waiter| self.poll_closed(waiter)).await
    }
}

fn flatten<T>(result: std::result::Result<Result<T>, kio::Ref<'_, State>>) -> Result<T> {
    match result {
        Ok(result) => result,
        // A failed track answers every question with its error, so this is only for completeness.
        Err(last) => Err(last.abort.clone().unwrap_or(Error::Dropped)),
    }
}

fn flatten_poll<T>(
    result: Poll<std::result::Result<Result<T>, kio::Ref<'_, State>>>,
) -> Poll<Result<T>> {
    result.map(flatten)
}
