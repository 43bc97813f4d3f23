//! Publishing a track.

use std::{sync::Arc, task::Poll};

use bytes::Bytes;
use kio::Waiter;

use super::{
    Shared, Subscription, TrackConsumer, TrackDynamic, TrackInfo, TrackSubscriber,
    shared::Owner,
    state::{After, Start, State},
    subscription::{Aggregate, Entry},
};
use crate::{
    Error, Result, Runtime, Timestamp,
    model::{
        Consume,
        group::{self, Group, GroupProducer},
    },
};

/// Publishes the groups of one track.
///
/// Clones publish the same track. When the last producer, request and handler of the track is dropped without
/// [`finish`](Self::finish), the track fails with [`Error::Dropped`]; groups that readers already hold go on.
#[derive(Clone)]
pub struct TrackProducer {
    owner: Arc<Owner>,
    /// What `subscription_changed` reported last.
    reported: Option<Aggregate>,
}

impl TrackProducer {
    /// A track whose properties are known from the start.
    pub fn new(
        name: impl Into<Arc<str>>,
        info: impl Into<Option<TrackInfo>>,
        runtime: &Runtime,
    ) -> Self {
        let info = info.into().unwrap_or_default();
        Self::from_owner(
            Owner::new(Shared::new(name.into(), Some(info), runtime)),
            None,
        )
    }

    pub(crate) fn from_owner(owner: Arc<Owner>, reported: Option<Aggregate>) -> Self {
        Self { owner, reported }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.owner.shared
    }

    /// The name.
    pub fn name(&self) -> &Arc<str> {
        &self.shared().tag.name
    }

    /// The properties. The defaults on the inert producer of a track that had failed before it was accepted.
    pub fn info(&self) -> TrackInfo {
        self.shared().channel.read().info.unwrap_or_default()
    }

    /// Whether both handles publish the same track.
    pub fn is_clone(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.shared(), other.shared())
    }

    /// Whether the track has failed.
    pub fn is_closed(&self) -> bool {
        self.shared().channel.read().check_open().is_err()
    }

    fn insert(
        &self,
        sequence: impl FnOnce(&State) -> Result<u64>,
        first_frame: u64,
        datagram: bool,
        fill: impl FnOnce(&GroupProducer) -> Result<()>,
    ) -> Result<GroupProducer> {
        let shared = self.shared();
        let now = shared.runtime().now();
        let producer = shared.change(|state, after| {
            let sequence = sequence(state)?;
            if let Err(error) = state.check_insert(sequence, first_frame) {
                // It was fetched before it came live. Subscribers must not miss it.
                if error == Error::Duplicate && state.is_backfill(sequence) {
                    state.promote(sequence);
                } else if state.ends_with(sequence) {
                    // Over is the better news about the last group of a finished track.
                    return Err(Error::Closed);
                }
                return Err(error);
            }
            let group = group::Shared::new(
                group::New {
                    sequence,
                    timescale: state.info.and_then(|info| info.timescale),
                    first_frame,
                    datagram,
                },
                &shared.tag,
            );
            let producer = GroupProducer::new(group.clone());
            // Filled before anybody can see it: one wake-up for group and frame.
            fill(&producer)?;
            *after = state.insert(&group, true, first_frame, now);
            Ok(producer)
        })?;
        shared.runtime().pool().enforce();
        Ok(producer)
    }

    /// Opens the group of a given sequence; any order.
    ///
    /// # Errors
    /// [`Error::Duplicate`] when it is held or was fetched meanwhile, [`Error::Closed`] from the last group of a finished track on,
    /// [`Error::Dropped`], or the abort error. An aborted group of that sequence is replaced.
    pub fn create_group(&self, group: impl Into<Group>) -> Result<GroupProducer> {
        self.create_group_from(group, 0)
    }

    /// Opens a group whose first frame has index `first_frame`: the head was not asked for.
    ///
    /// # Errors
    /// As [`create_group`](Self::create_group).
    pub fn create_group_from(
        &self,
        group: impl Into<Group>,
        first_frame: u64,
    ) -> Result<GroupProducer> {
        let sequence = group.into().sequence;
        self.insert(|_| Ok(sequence), first_frame, false, |_| Ok(()))
    }

    /// Opens the group after the newest one; 0 on an empty track.
    ///
    /// # Errors
    /// [`Error::BoundsExceeded`] after `u64::MAX`; else as [`create_group`](Self::create_group).
    pub fn append_group(&self) -> Result<GroupProducer> {
        self.insert(State::next_sequence, 0, false, |_| Ok(()))
    }

    /// Publishes one payload of an untimed track as the next group, finished.
    ///
    /// # Errors
    /// As [`append_group`](Self::append_group) and [`GroupProducer::write_frame`]; nothing is published then.
    pub fn write_frame(&self, payload: impl Into<Bytes>) -> Result<u64> {
        self.write_single(|state| state.next_sequence(), None, payload.into(), false)
    }

    /// Publishes one payload at a presentation time as the next group, finished.
    ///
    /// # Errors
    /// As [`append_group`](Self::append_group) and [`GroupProducer::write_timed`]; nothing is published then.
    pub fn write_timed(&self, timestamp: Timestamp, payload: impl Into<Bytes>) -> Result<u64> {
        self.write_single(
            |state| state.next_sequence(),
            Some(timestamp),
            payload.into(),
            false,
        )
    }

    /// Publishes a datagram under the next sequence, which is returned. Best effort: sent to whoever is there, never as a stream.
    ///
    /// # Errors
    /// [`Error::FrameTooLarge`] above `datagram_size`; else as [`write_frame`](Self::write_frame).
    pub fn write_datagram(
        &self,
        payload: impl Into<Bytes>,
        timestamp: impl Into<Option<Timestamp>>,
    ) -> Result<u64> {
        self.datagram(State::next_sequence, timestamp.into(), payload.into())
    }

    /// Publishes a datagram under the sequence it was received with.
    ///
    /// # Errors
    /// [`Error::Duplicate`] when that group is held, by datagram or by stream; else as [`write_datagram`](Self::write_datagram).
    pub fn write_datagram_at(
        &self,
        sequence: u64,
        payload: impl Into<Bytes>,
        timestamp: impl Into<Option<Timestamp>>,
    ) -> Result<()> {
        self.datagram(|_| Ok(sequence), timestamp.into(), payload.into())
            .map(|_| ())
    }

    fn datagram(
        &self,
        sequence: impl FnOnce(&State) -> Result<u64>,
        timestamp: Option<Timestamp>,
        payload: Bytes,
    ) -> Result<u64> {
        if payload.len() > self.shared().runtime().limits().datagram_size {
            return Err(Error::FrameTooLarge);
        }
        self.write_single(sequence, timestamp, payload, true)
    }

    fn write_single(
        &self,
        sequence: impl FnOnce(&State) -> Result<u64>,
        timestamp: Option<Timestamp>,
        payload: Bytes,
        datagram: bool,
    ) -> Result<u64> {
        let group = self.insert(sequence, 0, datagram, |group| {
            group.fill(timestamp, payload)
        })?;
        Ok(group.sequence())
    }

    /// Ends the track after its newest group. Lower sequences may still be added.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is finished, or the abort error.
    pub fn finish(&self) -> Result<()> {
        self.end(|state| state.next_sequence())
    }

    /// Ends the track at `sequence`, which must be its newest group (inclusive).
    ///
    /// # Errors
    /// [`Error::Closed`] when it is not, when there is no group, or when the track is finished; or the abort error.
    pub fn finish_at(&self, sequence: u64) -> Result<()> {
        self.end(|state| match state.latest == Some(sequence) {
            true => state.next_sequence(),
            false => Err(Error::Closed),
        })
    }

    /// Ends the track before `boundary` (exclusive), which may lie above groups that are still to come: what SUBSCRIBE_END says.
    ///
    /// # Errors
    /// [`Error::Closed`] when a group at or above it exists or the track is finished; or the abort error.
    pub fn finish_before(&self, boundary: u64) -> Result<()> {
        self.end(
            |state| match state.latest.is_some_and(|latest| latest >= boundary) {
                true => Err(Error::Closed),
                false => Ok(boundary),
            },
        )
    }

    /// Says that the live groups below the end have all come that ever will. Nobody waits for the others any more; old groups are
    /// still served on request.
    pub(crate) fn settle(&self) {
        self.note(|state| state.settled = true);
    }

    /// Takes note of where the publisher begins: readers without a start of their own need not find out.
    pub(crate) fn declare_start(&self, start: Start) {
        self.note(|state| state.start = Some(start));
    }

    /// Takes note of groups that will not come: readers in order do not wait for them.
    pub(crate) fn declare_missing(&self, first: u64, last: u64) {
        self.note(|state| state.missing.insert_range(first, last));
    }

    fn note(&self, change: impl FnOnce(&mut State)) {
        // A track that has failed needs no telling.
        let _ = self.shared().change(|state, _| {
            change(state);
            Ok(())
        });
    }

    fn end(&self, boundary: impl FnOnce(&State) -> Result<u64>) -> Result<()> {
        let now = self.shared().runtime().now();
        self.shared().change(|state, after: &mut After| {
            state.check_open()?;
            if state.boundary.is_some() {
                return Err(Error::Closed);
            }
            let boundary = boundary(state)?;
            *after = state.finish(boundary, now);
            Ok(())
        })
    }

    /// Fails the track: its cache is released, every pending read and request gets `error`. Groups that readers hold go on.
    ///
    /// # Errors
    /// The error of an earlier abort.
    pub fn abort(&self, error: Error) -> Result<()> {
        self.shared().abort(error)
    }

    /// A handle for reading in this process.
    pub fn consume(&self) -> TrackConsumer {
        TrackConsumer::new(self.shared().clone())
    }

    /// Subscribes in this process. Never waits, since the properties are known; on a failed track the subscriber says so on its
    /// first read.
    pub fn subscribe(&self, subscription: impl Into<Option<Subscription>>) -> TrackSubscriber {
        let shared = self.shared();
        let entry = Entry::new(shared, subscription.into().unwrap_or_default());
        TrackSubscriber::new(shared.clone(), Arc::new(entry), self.info())
    }

    /// What all live subscribers want together; `None` without any. Does not affect `subscription_changed`.
    pub fn subscription(&self) -> Option<Subscription> {
        self.shared().aggregate().map(|all| all.subscription)
    }

    /// Whether some subscriber set no `group_start`. On moq-lite-06 and later the start is a pure floor, so the wire then asks for
    /// none whatever `subscription()` says.
    pub fn has_open_start(&self) -> bool {
        self.shared().aggregate().is_some_and(|all| all.open_start)
    }

    /// Ready when the wish of all subscribers differs from the one this handle reported last; `None` when the last one left.
    ///
    /// # Errors
    /// The abort error.
    pub fn poll_subscription_changed(
        &mut self,
        waiter: &Waiter,
    ) -> Poll<Result<Option<Subscription>>> {
        poll_changed(self.owner.as_ref(), &mut self.reported, waiter)
    }

    /// Waits for a change; see [`poll_subscription_changed`](Self::poll_subscription_changed).
    ///
    /// # Errors
    /// The abort error.
    pub async fn subscription_changed(&mut self) -> Result<Option<Subscription>> {
        kio::wait(|waiter| self.poll_subscription_changed(waiter)).await
    }

    /// Ready while somebody holds the track: a consumer, a subscriber, or an operation under way.
    ///
    /// # Errors
    /// The abort error.
    pub fn poll_used(&self, waiter: &Waiter) -> Poll<Result<()>> {
        self.check_count(self.shared().channel.poll_used(waiter))
    }

    /// Waits until somebody holds the track.
    ///
    /// # Errors
    /// The abort error.
    pub async fn used(&self) -> Result<()> {
        kio::wait(|waiter| self.poll_used(waiter)).await
    }

    /// Ready while nobody holds the track.
    ///
    /// # Errors
    /// The abort error.
    pub fn poll_unused(&self, waiter: &Waiter) -> Poll<Result<()>> {
        self.check_count(self.shared().channel.poll_unused(waiter))
    }

    /// Waits until nobody holds the track.
    ///
    /// # Errors
    /// The abort error.
    pub async fn unused(&self) -> Result<()> {
        kio::wait(|waiter| self.poll_unused(waiter)).await
    }

    fn check_count(&self, count: Poll<Option<()>>) -> Poll<Result<()>> {
        match &self.shared().channel.read().abort {
            Some(error) => Poll::Ready(Err(error.clone())),
            None => count.map(|_| Ok(())),
        }
    }

    /// The abort error, once there is one.
    pub fn poll_closed(&self, waiter: &Waiter) -> Poll<Error> {
        let shared = self.shared();
        shared.channel.poll_closed(waiter).map(|()| {
            shared
                .channel
                .read()
                .abort
                .clone()
                .unwrap_or(Error::Dropped)
        })
    }

    /// Waits until the track fails.
    pub async fn closed(&self) -> Error {
        kio::wait(|waiter| self.poll_closed(waiter)).await
    }

    /// The highest sequence that was ever published live, held or not.
    pub fn latest(&self) -> Option<u64> {
        self.shared().channel.read().latest
    }

    /// Opts in to serving old groups on request.
    pub fn dynamic(&self) -> TrackDynamic {
        TrackDynamic::new(self.owner.clone())
    }
}

pub(crate) fn poll_changed(
    owner: &Owner,
    reported: &mut Option<Aggregate>,
    waiter: &Waiter,
) -> Poll<Result<Option<Subscription>>> {
    owner
        .shared
        .poll_aggregate(waiter, *reported)
        .map_ok(|all| {
            *reported = all;
            all.map(|all| all.subscription)
        })
}

impl Consume<TrackConsumer> for TrackProducer {
    fn consume(&self) -> TrackConsumer {
        Self::consume(self)
    }
}
