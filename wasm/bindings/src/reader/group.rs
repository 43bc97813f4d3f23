//! One group being read.
//!
//! A group may be waited for as long as the subscription's latency allows. The last frame and the FIN of a group travel
//! on another stream than the group after it and are easily overtaken by a moment, so being late begins after a grace.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use kio::Waiter;
use moq_net::{Error, FrameConsumer, GroupConsumer, Result, Runtime, Sleep};

use super::state::Reader;
use crate::{
    error::{ErrorData, Fault},
    number,
};

/// How long a stale group that brings nothing is waited for: a retransmission or two.
const LATE_GRACE: Duration = Duration::from_millis(200);

/// The next thing in a group.
pub(super) enum Next {
    /// A whole frame, in the pieces it arrived in.
    Frame {
        timestamp: Option<u64>,
        pieces: Vec<Bytes>,
    },
    /// No more frames; so many there were.
    End(u64),
}

/// A group with the number the page knows it by.
pub(super) struct Open {
    pub(super) gid: u32,
    group: GroupConsumer,
    /// A frame whose bytes are still arriving.
    partial: Option<FrameConsumer>,
    /// Running since the group is stale and nothing came.
    grace: Option<Sleep>,
}

impl Open {
    pub(super) const fn new(gid: u32, group: GroupConsumer) -> Self {
        Self {
            gid,
            group,
            partial: None,
            grace: None,
        }
    }

    /// The next whole frame. A frame that is not complete waits here and holds up nothing else.
    ///
    /// # Errors
    /// `Old` when the group is not worth waiting for any more; what ended the group.
    pub(super) fn poll_next(&mut self, waiter: &Waiter, runtime: &Runtime) -> Poll<Result<Next>> {
        let next = self.poll_frame(waiter);
        if next.is_ready() {
            self.grace = None;
            return next;
        }
        self.poll_late(waiter, runtime).map(|()| Err(Error::Old))
    }

    /// Ready when the group was stale for the whole grace.
    fn poll_late(&mut self, waiter: &Waiter, runtime: &Runtime) -> Poll<()> {
        std::task::ready!(self.group.poll_stale(waiter));
        let grace = self.grace.get_or_insert_with(|| runtime.sleep(LATE_GRACE));
        grace
            .as_mut()
            .poll(&mut Context::from_waker(waiter.waker()))
    }

    fn poll_frame(&mut self, waiter: &Waiter) -> Poll<Result<Next>> {
        let mut frame = match self.partial.take() {
            Some(frame) => frame,
            None => match std::task::ready!(self.group.poll_next_frame(waiter))? {
                Some(frame) => frame,
                None => return Poll::Ready(Ok(Next::End(self.group.frame_count()))),
            },
        };
        match frame.poll_read_all_chunks(waiter) {
            Poll::Ready(pieces) => Poll::Ready(Ok(Next::Frame {
                timestamp: frame.timestamp().map(|timestamp| timestamp.value),
                pieces: pieces?,
            })),
            Poll::Pending => {
                self.partial = Some(frame);
                Poll::Pending
            }
        }
    }

    /// Frames ended or not, is anything left to say about this group? Needs no credit to answer.
    pub(super) fn poll_over(&mut self, waiter: &Waiter) -> Poll<Result<u64>> {
        if self.partial.is_some() {
            return Poll::Pending;
        }
        let index = self.group.index();
        match self.group.poll_get_frame(waiter, index) {
            Poll::Ready(Ok(None)) => Poll::Ready(Ok(self.group.frame_count())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(Some(_))) | Poll::Pending => Poll::Pending,
        }
    }
}

/// Pack the next thing of a group. True when it was the last.
pub(super) fn pack(reader: &Reader, open: &Open, next: Result<Next>) -> bool {
    let gid = open.gid;
    match next {
        Ok(Next::Frame { timestamp, pieces }) => {
            let timestamp = timestamp
                .map(|value| number::out("timestamp", value))
                .transpose();
            let error = match timestamp {
                Ok(timestamp) => {
                    reader.pack(|batch| batch.frame(gid, timestamp, pieces));
                    return false;
                }
                Err(error) => error.to_bytes(),
            };
            reader.pack(|batch| batch.group_error(gid, error));
            true
        }
        Ok(Next::End(frames)) => {
            // A count no number holds would have needed as many frames.
            reader.pack(|batch| batch.group_end(gid, frames as f64));
            true
        }
        Err(error) => {
            let error = ErrorData::of(&error, Fault::Peer, "").to_bytes();
            reader.pack(|batch| batch.group_error(gid, error));
            true
        }
    }
}

/// Without credit: say so if the group is over. True when it was.
pub(super) fn pack_over(reader: &Reader, open: &mut Open, waiter: &Waiter) -> bool {
    match open.poll_over(waiter) {
        Poll::Ready(over) => pack(reader, open, over.map(Next::End)),
        Poll::Pending => false,
    }
}
