//! One group being read.

use std::task::Poll;

use bytes::Bytes;
use kio::Waiter;
use moq_net::{FrameConsumer, GroupConsumer, Result};

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
}

impl Open {
    pub(super) const fn new(gid: u32, group: GroupConsumer) -> Self {
        Self {
            gid,
            group,
            partial: None,
        }
    }

    /// The next whole frame. A frame that is not complete waits here and holds up nothing else.
    pub(super) fn poll_next(&mut self, waiter: &Waiter) -> Poll<Result<Next>> {
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
