//! The frames of a group, and what is asked of them.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    task::Poll,
};

use crate::{
    Error, Instant, Limits, Result, Runtime, Timescale, Timestamp,
    cost::{
        gauges::{Kind, Live},
        peaks::Peak,
    },
    model::{
        frame::{self, Chunks, FrameConsumer},
        pool::{Charge, Seat},
        track,
    },
};

/// What every handle of a group holds. Whether the group is over is in the state: the channel itself never closes, so that a
/// finished group can still be given up by the cache.
pub(crate) struct Shared {
    pub(crate) sequence: u64,
    pub(crate) timescale: Option<Timescale>,
    pub(crate) tag: Arc<track::Tag>,
    /// When it was created here.
    pub(crate) arrived: Instant,
    /// Whether it stands for a datagram.
    pub(crate) datagram: bool,
    pub(crate) channel: kio::Producer<State>,
    seat: Seat,
    live: Live,
}

/// What a track decides about a new group.
pub(crate) struct New {
    pub(crate) sequence: u64,
    pub(crate) timescale: Option<Timescale>,
    /// Index of the first frame it will have.
    pub(crate) first_frame: u64,
    pub(crate) datagram: bool,
}

impl Shared {
    pub(crate) fn new(new: New, tag: &Arc<track::Tag>) -> Arc<Self> {
        let runtime = &tag.runtime;
        let state = State {
            frames: VecDeque::new(),
            start: new.first_frame,
            evicted: 0,
            bytes: 0,
            total: 0,
            finished: false,
            abort: None,
            first: None,
            newest: None,
            charge: Charge::new(runtime, runtime.limits().group_overhead),
        };
        Arc::new(Self {
            sequence: new.sequence,
            timescale: new.timescale,
            tag: tag.clone(),
            arrived: runtime.now(),
            datagram: new.datagram,
            channel: kio::Producer::new(state),
            seat: Seat::default(),
            live: Live::new(runtime, Kind::Group),
        })
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        self.live.runtime()
    }

    pub(crate) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// Whether a reader that starts at `frame` finds what it wants here: an aborted group counts as absent, and so does one
    /// that was never held from that frame on.
    pub(crate) fn serves(&self, frame: u64) -> bool {
        let state = self.channel.read();
        state.abort.is_none() && state.held_from() <= frame
    }

    /// Whether the first frame it ever had can be read without waiting.
    pub(crate) fn has_whole_frame(&self) -> bool {
        let state = self.channel.read();
        let first = state.poll_frame(state.start());
        matches!(first, Poll::Ready(Ok(Some(Found::Whole(_)))))
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.channel.read().abort.is_some()
    }

    /// Bytes it keeps in memory, about, and whether more may come.
    pub(crate) fn weigh(&self) -> (usize, bool) {
        let state = self.channel.read();
        let grows = !state.finished && state.abort.is_none();
        (state.charge.bytes().max(state.bytes), grows)
    }

    /// Whether it was reset: that it is no longer held is something else.
    pub(crate) fn is_reset(&self) -> bool {
        let state = self.channel.read();
        state
            .abort
            .as_ref()
            .is_some_and(|error| *error != Error::Evicted)
    }

    /// Ends the group with an error; false if it had ended before.
    pub(crate) fn abort(&self, error: Error, only_unfinished: bool) -> bool {
        let released = match self.channel.write() {
            Ok(mut state) if state.abort.is_none() && !(only_unfinished && state.finished) => {
                state.abort(error)
            }
            _ => return false,
        };
        drop(released);
        true
    }

    /// The cache gives the group up, finished or not.
    pub(crate) fn evict(&self) {
        self.abort(Error::Evicted, false);
        self.tag.forget(self);
    }

    /// Drops oldest frames worth at least `excess` bytes but never the newest; whether any went.
    pub(crate) fn trim(&self, excess: usize) -> bool {
        let Ok(mut state) = self.channel.write() else {
            return false;
        };
        if state.frames.len() < 2 {
            return false;
        }
        let overhead = self.runtime().limits().frame_overhead;
        let mut freed = 0;
        while freed < excess && state.frames.len() > 1 {
            freed += state.pop_oldest(overhead);
        }
        true
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.live.runtime().pool().leave(&self.seat);
    }
}

/// When something happened, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) arrived: Instant,
}

pub(crate) struct State {
    /// The frames held, oldest first; the first one has index `start + evicted`.
    frames: VecDeque<Slot>,
    /// Index of the first frame ever held: above 0 for a group that was asked for without its head.
    start: u64,
    /// Frames dropped from the front since.
    evicted: u64,
    /// Declared payload bytes of the frames held, for the budget of the group.
    bytes: usize,
    /// Declared payload bytes of all frames there ever were.
    total: usize,
    finished: bool,
    abort: Option<Error>,
    /// The first frame there was, kept when the frame itself is dropped.
    first: Option<Stamp>,
    /// The latest presentation time, and the latest arrival.
    newest: Option<Stamp>,
    /// What the pool is charged for this group and the frames written whole; a frame in pieces has a charge of its own.
    charge: Charge,
}

pub(crate) struct Slot {
    timestamp: Option<Timestamp>,
    arrived: Instant,
    body: Body,
}

enum Body {
    Whole(Chunks),
    Growing(Arc<frame::Shared>),
}

impl Slot {
    pub(crate) fn whole(timestamp: Option<Timestamp>, arrived: Instant, chunks: Chunks) -> Self {
        Self {
            timestamp,
            arrived,
            body: Body::Whole(chunks),
        }
    }

    pub(crate) fn growing(
        timestamp: Option<Timestamp>,
        arrived: Instant,
        frame: Arc<frame::Shared>,
    ) -> Self {
        Self {
            timestamp,
            arrived,
            body: Body::Growing(frame),
        }
    }

    fn size(&self) -> usize {
        match &self.body {
            Body::Whole(chunks) => chunks.len(),
            Body::Growing(frame) => frame.info.size,
        }
    }

    /// What the group itself is charged for this frame.
    fn charged(&self, overhead: usize) -> usize {
        match &self.body {
            Body::Whole(chunks) => chunks.len() + overhead,
            Body::Growing(_) => overhead,
        }
    }
}

/// A frame found in a group. Turning it into a reader may wake the frame's writer, so that comes after unlocking the group.
pub(crate) enum Found {
    Whole(FrameConsumer),
    Growing(Arc<frame::Shared>, Instant),
}

impl Found {
    pub(crate) fn open(self) -> FrameConsumer {
        match self {
            Self::Whole(frame) => frame,
            Self::Growing(frame, arrived) => FrameConsumer::growing(&frame, arrived),
        }
    }
}

impl State {
    /// Index of the oldest frame that can still be read.
    pub(crate) const fn held_from(&self) -> u64 {
        self.start.saturating_add(self.evicted)
    }

    /// Index of the first frame there ever was.
    pub(crate) const fn start(&self) -> u64 {
        self.start
    }

    /// Frames so far, dropped ones included: the index the next one gets.
    pub(crate) fn count(&self) -> u64 {
        self.held_from().saturating_add(self.frames.len() as u64)
    }

    pub(crate) const fn is_finished(&self) -> bool {
        self.finished
    }

    /// Bytes held that come after the first `sent`.
    pub(crate) fn pending(&self, sent: usize) -> usize {
        self.bytes.min(self.total.saturating_sub(sent))
    }

    /// First and newest frame, for the question whether this group or an older one is stale.
    pub(crate) const fn span(&self) -> (Option<Stamp>, Option<Stamp>) {
        (self.first, self.newest)
    }

    /// Whether frames may still be added.
    pub(crate) fn check_open(&self) -> Result<()> {
        match &self.abort {
            Some(error) => Err(error.clone()),
            None if self.finished => Err(Error::Closed),
            None => Ok(()),
        }
    }

    /// Adds a frame and drops oldest ones over the budget of the group; the newest frame always stays.
    pub(crate) fn push(&mut self, slot: Slot, limits: &Limits) {
        let stamp = Stamp {
            timestamp: slot.timestamp,
            arrived: slot.arrived,
        };
        self.first.get_or_insert(stamp);
        // Frames may be out of presentation order (B-frames): the latest time counts, not the last frame.
        let latest = self.newest.and_then(|newest| newest.timestamp);
        let times = latest.into_iter().chain(stamp.timestamp);
        self.newest = Some(Stamp {
            timestamp: times.max_by_key(|time| time.value),
            ..stamp
        });
        self.bytes += slot.size();
        self.total = self.total.saturating_add(slot.size());
        self.charge.add(slot.charged(limits.frame_overhead));
        self.frames.push_back(slot);
        while self.frames.len() > 1
            && (self.bytes > limits.group_bytes || self.frames.len() > limits.group_frames)
        {
            self.pop_oldest(limits.frame_overhead);
        }
        let runtime = self.charge.runtime();
        runtime.mark(Peak::GroupBytes, self.bytes);
        runtime.mark(Peak::GroupFrames, self.frames.len());
    }

    /// Drops the oldest frame; the bytes that frees.
    fn pop_oldest(&mut self, overhead: usize) -> usize {
        let Some(slot) = self.frames.pop_front() else {
            return 0;
        };
        self.evicted += 1;
        self.bytes -= slot.size();
        self.charge.remove(slot.charged(overhead));
        slot.size() + overhead
    }

    pub(crate) fn finish(&mut self) {
        self.finished = true;
    }

    /// Fails the group; what it held is returned, to be dropped after unlocking.
    #[must_use = "dropped after unlocking"]
    fn abort(&mut self, error: Error) -> VecDeque<Slot> {
        self.abort = Some(error);
        let frames = std::mem::take(&mut self.frames);
        self.evicted += frames.len() as u64;
        // The empty rest is no longer worth giving up, so it must not count.
        self.charge.clear();
        self.bytes = 0;
        frames
    }

    /// The frame at `index`, or `None` past the end of a finished group.
    pub(crate) fn poll_frame(&self, index: u64) -> Poll<Result<Option<Found>>> {
        if let Some(error) = &self.abort {
            return Poll::Ready(Err(error.clone()));
        }
        let Some(offset) = index.checked_sub(self.held_from()) else {
            return Poll::Ready(Err(Error::CacheFull));
        };
        let slot = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.frames.get(offset));
        match slot {
            Some(slot) => Poll::Ready(Ok(Some(match &slot.body {
                Body::Whole(chunks) => Found::Whole(FrameConsumer::whole(
                    slot.timestamp,
                    slot.arrived,
                    chunks.clone(),
                )),
                Body::Growing(frame) => Found::Growing(frame.clone(), slot.arrived),
            }))),
            None if self.finished => Poll::Ready(Ok(None)),
            None => Poll::Pending,
        }
    }

    /// The total number of frames, once it is known.
    pub(crate) fn poll_finished(&self) -> Poll<Result<u64>> {
        match &self.abort {
            Some(error) => Poll::Ready(Err(error.clone())),
            None if self.finished => Poll::Ready(Ok(self.count())),
            None => Poll::Pending,
        }
    }

    /// The error that ended the group, if one did.
    pub(crate) const fn abort_error(&self) -> Option<&Error> {
        self.abort.as_ref()
    }
}

/// A track that is looked at without being kept.
pub(crate) type WeakTrack = Weak<track::Shared>;
