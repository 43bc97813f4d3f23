//! Reading a group.

use std::{
    sync::Arc,
    task::{Poll, ready},
};

use bytes::Bytes;
use kio::Waiter;

use super::{
    Shared,
    state::{Found, State, WeakTrack},
};
use crate::{
    Error, Instant, Result, Timescale, Timestamp,
    cost::gauges::{Kind, Live},
    model::{frame::FrameConsumer, track},
};

/// Reads the frames of one group, in order. A clone starts where this one is and goes its own way.
#[derive(Clone)]
pub struct GroupConsumer {
    shared: Arc<Shared>,
    channel: kio::Consumer<State>,
    /// Index of the next frame to read.
    index: u64,
    /// The next frame, while `poll_read_frame` waits for the rest of it.
    partial: Option<FrameConsumer>,
    freshness: Option<Freshness>,
    _live: Live,
}

/// What a group read through a subscription needs to know whether it is stale. Keeps neither the track nor the subscription.
#[derive(Clone)]
pub(crate) struct Freshness {
    pub(crate) track: WeakTrack,
    pub(crate) budget: Arc<track::Budget>,
}

impl GroupConsumer {
    pub(crate) fn new(shared: Arc<Shared>, freshness: Option<Freshness>) -> Self {
        let channel = shared.channel.consume();
        let index = channel.read().start();
        let live = Live::new(shared.runtime(), Kind::Consumer);
        Self {
            shared,
            channel,
            index,
            partial: None,
            freshness,
            _live: live,
        }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Bytes that a reader who took the first `sent` keeps from being dropped, about.
    pub(crate) fn pending(&self, sent: usize) -> usize {
        self.shared.channel.read().pending(sent)
    }

    /// The same reader, going on at frame `index`.
    pub(crate) fn at(mut self, index: u64) -> Self {
        self.seek(index);
        self
    }

    /// The position in the track.
    pub fn sequence(&self) -> u64 {
        self.shared.sequence
    }

    /// Units per second of its timestamps; `None` on an untimed track.
    pub fn timescale(&self) -> Option<Timescale> {
        self.shared.timescale
    }

    /// Whether it is the one-frame group that stands for a datagram, which a session does not send as a stream.
    pub fn is_datagram(&self) -> bool {
        self.shared.datagram
    }

    /// The payload of the datagram it stands for.
    pub(crate) fn datagram(&self) -> Option<track::Datagram> {
        let Poll::Ready(Ok(Some(Found::Whole(frame)))) = self.channel.read().poll_frame(0) else {
            return None;
        };
        Some(track::Datagram {
            sequence: self.shared.sequence,
            timestamp: frame.timestamp(),
            payload: frame.payload()?,
        })
    }

    /// Whether both handles read the same group.
    pub fn is_clone(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Index of the frame that is read next. Starts at the first frame held: 0 unless the group came without its head.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Goes on at frame `index`, in either direction.
    pub fn seek(&mut self, index: u64) {
        if index != self.index {
            self.index = index;
            self.partial = None;
        }
    }

    /// Frames so far, dropped ones included.
    pub fn frame_count(&self) -> u64 {
        self.channel.read().count()
    }

    /// Whether every frame is there: nothing more has to be waited for. False for an aborted group.
    pub fn is_finished(&self) -> bool {
        let state = self.channel.read();
        state.is_finished() && state.abort_error().is_none()
    }

    /// The timestamp `frame` has on a wire that has no untimed tracks: its own, or on an untimed track the milliseconds from
    /// the creation of the track to its arrival (`moq-lite-05` and later).
    pub fn wire_timestamp(&self, frame: &FrameConsumer) -> Timestamp {
        frame.timestamp().unwrap_or_else(|| {
            let age = frame.arrived().duration_since(self.shared.tag.created);
            Timestamp::from_millis(u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
        })
    }

    /// When it was created here (on a relay: when its first byte arrived).
    pub fn arrived(&self) -> Instant {
        self.shared.arrived
    }

    fn poll_found(&self, waiter: &Waiter, index: u64) -> Poll<Result<Option<Found>>> {
        self.channel
            .poll(waiter, |state| state.poll_frame(index))
            .map(|result| result.unwrap_or(Err(Error::Dropped)))
    }

    /// The frame at `index`, or `None` past the end of a finished group. Does not move the reader.
    ///
    /// # Errors
    /// [`Error::CacheFull`] when it is no longer held, the abort error, [`Error::Evicted`] when the cache gave the group up.
    pub fn poll_get_frame(
        &self,
        waiter: &Waiter,
        index: u64,
    ) -> Poll<Result<Option<FrameConsumer>>> {
        self.poll_found(waiter, index)
            .map_ok(|found| found.map(Found::open))
    }

    /// Waits for the frame at `index`; see [`poll_get_frame`](Self::poll_get_frame).
    ///
    /// # Errors
    /// As `poll_get_frame`.
    pub async fn get_frame(&self, index: u64) -> Result<Option<FrameConsumer>> {
        kio::wait(|waiter| self.poll_get_frame(waiter, index)).await
    }

    /// The next frame, whose bytes may still be arriving; `None` at the end.
    ///
    /// # Errors
    /// As [`poll_get_frame`](Self::poll_get_frame).
    pub fn poll_next_frame(&mut self, waiter: &Waiter) -> Poll<Result<Option<FrameConsumer>>> {
        if let Some(frame) = self.partial.take() {
            self.index += 1;
            return Poll::Ready(Ok(Some(frame)));
        }
        let found = ready!(self.poll_found(waiter, self.index))?;
        if found.is_some() {
            self.index += 1;
        }
        Poll::Ready(Ok(found.map(Found::open)))
    }

    /// Waits for the next frame; see [`poll_next_frame`](Self::poll_next_frame).
    ///
    /// # Errors
    /// As `poll_next_frame`.
    pub async fn next_frame(&mut self) -> Result<Option<FrameConsumer>> {
        kio::wait(|waiter| self.poll_next_frame(waiter)).await
    }

    /// The next frame as long as waiting for it makes sense: once the group is stale and the frame is not there yet, this fails.
    /// Groups that still flow are not cut off.
    ///
    /// # Errors
    /// [`Error::Old`] in that case; else as [`poll_next_frame`](Self::poll_next_frame).
    pub fn poll_next_timely(&mut self, waiter: &Waiter) -> Poll<Result<Option<FrameConsumer>>> {
        match self.poll_next_frame(waiter) {
            Poll::Pending => self.poll_stale(waiter).map(|()| Err(Error::Old)),
            ready => ready,
        }
    }

    /// The whole next frame in the chunks in which it arrived, none of them copied; `None` at the end. The reader moves on only
    /// when the frame is complete.
    ///
    /// # Errors
    /// As [`poll_get_frame`](Self::poll_get_frame), and the abort error of the frame.
    pub fn poll_read_frame_chunks(&mut self, waiter: &Waiter) -> Poll<Result<Option<Vec<Bytes>>>> {
        let Some(mut frame) = ready!(self.poll_partial(waiter))? else {
            return Poll::Ready(Ok(None));
        };
        let Poll::Ready(chunks) = frame.poll_read_all_chunks(waiter) else {
            self.partial = Some(frame);
            return Poll::Pending;
        };
        self.index += 1;
        Poll::Ready(chunks.map(Some))
    }

    fn poll_partial(&mut self, waiter: &Waiter) -> Poll<Result<Option<FrameConsumer>>> {
        match self.partial.take() {
            Some(frame) => Poll::Ready(Ok(Some(frame))),
            None => self.poll_get_frame(waiter, self.index),
        }
    }

    /// Waits for the whole next frame; see [`poll_read_frame_chunks`](Self::poll_read_frame_chunks).
    ///
    /// # Errors
    /// As `poll_read_frame_chunks`.
    pub async fn read_frame_chunks(&mut self) -> Result<Option<Vec<Bytes>>> {
        kio::wait(|waiter| self.poll_read_frame_chunks(waiter)).await
    }

    /// The whole next frame as one buffer, copied only if it arrived in several chunks; `None` at the end.
    ///
    /// # Errors
    /// As [`poll_read_frame_chunks`](Self::poll_read_frame_chunks).
    pub fn poll_read_frame(&mut self, waiter: &Waiter) -> Poll<Result<Option<Bytes>>> {
        let Some(mut frame) = ready!(self.poll_partial(waiter))? else {
            return Poll::Ready(Ok(None));
        };
        let Poll::Ready(payload) = frame.poll_read_all(waiter) else {
            self.partial = Some(frame);
            return Poll::Pending;
        };
        self.index += 1;
        Poll::Ready(payload.map(Some))
    }

    /// Waits for the whole next frame; see [`poll_read_frame`](Self::poll_read_frame).
    ///
    /// # Errors
    /// As `poll_read_frame`.
    pub async fn read_frame(&mut self) -> Result<Option<Bytes>> {
        kio::wait(|waiter| self.poll_read_frame(waiter)).await
    }

    /// The total number of frames, once the group is finished.
    ///
    /// # Errors
    /// The abort error.
    pub fn poll_finished(&self, waiter: &Waiter) -> Poll<Result<u64>> {
        self.channel
            .poll(waiter, |state| state.poll_finished())
            .map(|result| result.unwrap_or(Err(Error::Dropped)))
    }

    /// Waits for the end of the group; see [`poll_finished`](Self::poll_finished).
    ///
    /// # Errors
    /// The abort error.
    pub async fn finished(&self) -> Result<u64> {
        kio::wait(|waiter| self.poll_finished(waiter)).await
    }

    /// Whether the group lies further behind the newest frame of its track than the `max_latency` of the subscription it was
    /// read through (or the track's `cache`, if that is less) allows. Presentation time decides where the track has it, else
    /// arrival time. With a `max_latency` of 0 a group is stale as soon as there is a newer one. The newest group never is,
    /// nor is a fetched one.
    pub fn is_stale(&self) -> bool {
        self.poll_stale(&Waiter::noop()).is_ready()
    }

    /// Ready once the group is stale; see [`is_stale`](Self::is_stale).
    pub fn poll_stale(&self, waiter: &Waiter) -> Poll<()> {
        match &self.freshness {
            Some(Freshness { track, budget }) => match track.upgrade() {
                Some(track) => track.poll_stale(waiter, self.shared.sequence, budget.get()),
                None => Poll::Pending,
            },
            None => Poll::Pending,
        }
    }
}
