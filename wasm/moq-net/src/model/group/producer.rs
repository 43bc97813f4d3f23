//! Writing a group.

use std::{sync::Arc, task::Poll};

use bytes::Bytes;
use kio::Waiter;

use super::{
    GroupConsumer, Shared,
    state::{Slot, State},
};
use crate::{
    Error, Result, Timescale, Timestamp,
    cost::gauges::{Kind, Live},
    model::frame::{Chunks, Frame, FrameProducer},
};

/// Writes the frames of one group, in order.
///
/// Clones write to the same group. Dropping all of them without [`finish`](Self::finish) aborts it with [`Error::Dropped`].
/// A group is only born from its track, which gives it its timescale.
#[derive(Clone)]
pub struct GroupProducer {
    owner: Arc<Owner>,
}

/// Shared by all writers: the group is given up when the last one goes.
struct Owner {
    shared: Arc<Shared>,
    _live: Live,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.abort(Error::Dropped, true);
    }
}

impl GroupProducer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let live = Live::new(shared.runtime(), Kind::Producer);
        Self {
            owner: Arc::new(Owner {
                shared,
                _live: live,
            }),
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.owner.shared
    }

    /// The position in the track.
    pub fn sequence(&self) -> u64 {
        self.shared().sequence
    }

    /// Units per second of its timestamps; `None` on an untimed track.
    pub fn timescale(&self) -> Option<Timescale> {
        self.shared().timescale
    }

    /// Whether both handles write the same group.
    pub fn is_clone(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.shared(), other.shared())
    }

    /// Appends a whole frame of an untimed track.
    ///
    /// # Errors
    /// [`Error::TimestampMismatch`] on a timed track, [`Error::FrameTooLarge`] above `max_frame`, [`Error::Closed`] after
    /// `finish`, or the abort error.
    pub fn write_frame(&self, payload: impl Into<Bytes>) -> Result<()> {
        self.write_frames([(None, payload.into())])
    }

    /// Appends a whole frame at a presentation time, which is converted to the timescale of the track if it has another one.
    ///
    /// # Errors
    /// As [`write_frame`](Self::write_frame); [`Error::TimestampMismatch`] on an untimed track.
    pub fn write_timed(&self, timestamp: Timestamp, payload: impl Into<Bytes>) -> Result<()> {
        self.write_frames([(Some(timestamp), payload.into())])
    }

    /// Appends a whole frame that came in several chunks, which are kept as they are.
    ///
    /// # Errors
    /// As [`write_frame`](Self::write_frame).
    pub fn write_chunks(&self, timestamp: Option<Timestamp>, chunks: Vec<Bytes>) -> Result<()> {
        self.write_all(std::iter::once((timestamp, Chunks::from(chunks))))
    }

    /// Appends several whole frames under one lock with one wake-up: what readers cost is the number of wake-ups.
    ///
    /// # Errors
    /// As [`write_frame`](Self::write_frame). The frames before the first that fails are written.
    pub fn write_frames(
        &self,
        frames: impl IntoIterator<Item = (Option<Timestamp>, Bytes)>,
    ) -> Result<()> {
        self.write_all(
            frames
                .into_iter()
                .map(|(timestamp, payload)| (timestamp, Chunks::One(payload))),
        )
    }

    /// Writes a single frame and ends the group, while nobody can see it yet. Leaves the budget of the cache to the caller, who
    /// holds the lock of the track.
    pub(crate) fn fill(&self, timestamp: Option<Timestamp>, payload: Bytes) -> Result<()> {
        self.push_all(std::iter::once((timestamp, Chunks::One(payload))))?;
        self.finish()
    }

    fn write_all(&self, frames: impl Iterator<Item = (Option<Timestamp>, Chunks)>) -> Result<()> {
        let result = self.push_all(frames);
        self.shared().runtime().pool().enforce();
        result
    }

    fn push_all(&self, frames: impl Iterator<Item = (Option<Timestamp>, Chunks)>) -> Result<()> {
        let shared = self.shared();
        let limits = shared.runtime().limits();
        let arrived = shared.runtime().now();
        self.append(|state| {
            for (timestamp, chunks) in frames {
                if chunks.len() > limits.max_frame {
                    return Err(Error::FrameTooLarge);
                }
                let timestamp = shared.tag.fit(timestamp, shared.timescale)?;
                state.push(Slot::whole(timestamp, arrived, chunks), limits);
            }
            Ok(())
        })
    }

    /// Changes the state if frames may still be added.
    fn append(&self, change: impl FnOnce(&mut State) -> Result<()>) -> Result<()> {
        let Ok(mut state) = self.shared().channel.write() else {
            return Err(Error::Dropped);
        };
        state.check_open()?;
        change(&mut state)
    }

    /// Appends a frame that is written in pieces. Readers see it at once and its bytes as they come.
    ///
    /// # Errors
    /// As [`write_frame`](Self::write_frame), before anything is allocated; [`Error::TimestampMismatch`] when it has a timestamp
    /// and the track none, or the reverse.
    pub fn create_frame(&self, frame: impl Into<Frame>) -> Result<FrameProducer> {
        let mut frame = frame.into();
        frame.timestamp = self
            .shared()
            .tag
            .fit(frame.timestamp, self.shared().timescale)?;
        let producer = frame.produce(self.shared().runtime())?;
        self.append_frame(&producer)?;
        Ok(producer)
    }

    /// Appends a frame made elsewhere, e.g. one that several groups share.
    ///
    /// # Errors
    /// As [`create_frame`](Self::create_frame).
    pub fn append_frame(&self, frame: &FrameProducer) -> Result<()> {
        let shared = self.shared();
        let timestamp = shared.tag.fit(frame.info().timestamp, shared.timescale)?;
        let slot = Slot::growing(timestamp, shared.runtime().now(), frame.shared().clone());
        let result = self.append(|state| {
            state.push(slot, shared.runtime().limits());
            Ok(())
        });
        shared.runtime().pool().enforce();
        result
    }

    /// Frames so far, including those no longer held and those before the first one of a group without its head.
    pub fn frame_count(&self) -> u64 {
        self.shared().channel.read().count()
    }

    /// Ends the group cleanly. What is cached stays readable.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is finished already, or the abort error.
    pub fn finish(&self) -> Result<()> {
        self.append(|state| {
            state.finish();
            Ok(())
        })
    }

    /// Fails the group: readers get `error` on their next read, and what is cached is released. Readers of a frame keep it.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is finished, or the error of an earlier abort.
    pub fn abort(&self, error: Error) -> Result<()> {
        self.shared().channel.read().check_open()?;
        match self.shared().abort(error, true) {
            true => Ok(()),
            false => Err(Error::Closed),
        }
    }

    /// A reader from the first frame held on.
    pub fn consume(&self) -> GroupConsumer {
        GroupConsumer::new(self.shared().clone(), None)
    }

    /// The error that aborted the group, or `Closed` once it is finished.
    pub fn poll_closed(&self, waiter: &Waiter) -> Poll<Error> {
        poll_closed(&self.shared().channel, waiter)
    }

    /// Waits for the end of the group; see [`poll_closed`](Self::poll_closed).
    pub async fn closed(&self) -> Error {
        kio::wait(|waiter| self.poll_closed(waiter)).await
    }

    /// Ready while nobody reads this group.
    pub fn poll_unused(&self, waiter: &Waiter) -> Poll<()> {
        self.shared().channel.poll_unused(waiter).map(|_| ())
    }

    /// Waits until nobody reads this group.
    pub async fn unused(&self) {
        kio::wait(|waiter| self.poll_unused(waiter)).await;
    }
}

fn poll_closed(channel: &kio::Producer<State>, waiter: &Waiter) -> Poll<Error> {
    let mut end = Error::Dropped;
    let ended = channel.poll(waiter, |state| match state.check_open() {
        Ok(()) => Poll::Pending,
        Err(error) => {
            end = error;
            Poll::Ready(())
        }
    });
    ended.map(|_| end)
}
