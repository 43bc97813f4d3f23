//! Reading a frame.

use std::{
    sync::Arc,
    task::{Poll, ready},
};

use bytes::Bytes;
use kio::Waiter;

use super::{
    Chunks, Frame, Shared,
    state::{State, join},
};
use crate::{
    Error, Instant, Result, Timestamp,
    cost::gauges::{Kind, Live},
};

/// Reads one frame. What it holds stays readable whatever becomes of the group.
#[derive(Clone)]
pub struct FrameConsumer {
    info: Frame,
    arrived: Instant,
    source: Source,
    /// The next chunk to read.
    next: usize,
}

#[derive(Clone)]
enum Source {
    /// All bytes are here: no lock, nothing to wait for.
    Whole(Chunks),
    Growing {
        shared: Arc<Shared>,
        channel: kio::Consumer<State>,
        _live: Live,
    },
}

impl FrameConsumer {
    pub(crate) fn whole(timestamp: Option<Timestamp>, arrived: Instant, chunks: Chunks) -> Self {
        Self {
            info: Frame {
                size: chunks.len(),
                timestamp,
            },
            arrived,
            source: Source::Whole(chunks),
            next: 0,
        }
    }

    /// A reader of a frame in pieces. Must not be called under the lock of its group: it may wake the writer.
    pub(crate) fn growing(shared: &Arc<Shared>, arrived: Instant) -> Self {
        let complete = shared.channel.read().complete();
        let source = match complete {
            Some(chunks) => Source::Whole(chunks),
            None => Source::Growing {
                channel: shared.channel.consume(),
                _live: Live::new(shared.live.runtime(), Kind::Consumer),
                shared: shared.clone(),
            },
        };
        Self {
            info: shared.info,
            arrived,
            source,
            next: 0,
        }
    }

    /// The payload of a frame that was written whole and not read yet.
    pub(crate) fn payload(&self) -> Option<Bytes> {
        match &self.source {
            Source::Whole(chunks) => Some(join(chunks.rest(0))),
            Source::Growing { .. } => None,
        }
    }

    /// Declared size and timestamp.
    pub const fn info(&self) -> Frame {
        self.info
    }

    /// Payload bytes.
    pub const fn size(&self) -> usize {
        self.info.size
    }

    /// Presentation time in the timescale of the track; `None` on an untimed track.
    pub const fn timestamp(&self) -> Option<Timestamp> {
        self.info.timestamp
    }

    /// When it was written here (on a relay: when its first byte arrived).
    pub const fn arrived(&self) -> Instant {
        self.arrived
    }

    /// The next piece, in the chunks in which it was written; `None` at the end.
    ///
    /// # Errors
    /// The abort error; [`Error::Dropped`] when the writer vanished.
    pub fn poll_read_chunk(&mut self, waiter: &Waiter) -> Poll<Result<Option<Bytes>>> {
        let chunk = match &self.source {
            Source::Whole(chunks) => Ok(chunks.get(self.next).cloned()),
            Source::Growing {
                channel, shared, ..
            } => {
                debug_assert_eq!(shared.info, self.info);
                ready!(channel.poll(waiter, |state| state.poll_chunk(self.next)))
                    .unwrap_or(Err(Error::Dropped))
            }
        };
        if let Ok(Some(_)) = chunk {
            self.next += 1;
        }
        Poll::Ready(chunk)
    }

    /// Waits for the next piece; see [`poll_read_chunk`](Self::poll_read_chunk).
    ///
    /// # Errors
    /// As `poll_read_chunk`.
    pub async fn read_chunk(&mut self) -> Result<Option<Bytes>> {
        kio::wait(|waiter| self.poll_read_chunk(waiter)).await
    }

    /// What is left of the frame once it is complete, in its chunks.
    ///
    /// # Errors
    /// The abort error; [`Error::Dropped`] when the writer vanished.
    pub fn poll_read_all_chunks(&mut self, waiter: &Waiter) -> Poll<Result<Vec<Bytes>>> {
        let rest = match &self.source {
            Source::Whole(chunks) => Ok(chunks.rest(self.next)),
            Source::Growing { channel, .. } => {
                ready!(channel.poll(waiter, |state| state.poll_rest(self.next)))
                    .unwrap_or(Err(Error::Dropped))
            }
        };
        if let Ok(chunks) = &rest {
            self.next += chunks.len();
        }
        Poll::Ready(rest)
    }

    /// What is left of the frame once it is complete, as one buffer. Copies only if it arrived in several chunks.
    ///
    /// # Errors
    /// As `poll_read_all_chunks`.
    pub fn poll_read_all(&mut self, waiter: &Waiter) -> Poll<Result<Bytes>> {
        if let Source::Whole(Chunks::One(chunk)) = &self.source {
            let rest = if self.next == 0 {
                chunk.clone()
            } else {
                Bytes::new()
            };
            self.next = 1;
            return Poll::Ready(Ok(rest));
        }
        self.poll_read_all_chunks(waiter).map_ok(join)
    }

    /// Waits for the rest of the frame; see [`poll_read_all`](Self::poll_read_all).
    ///
    /// # Errors
    /// As `poll_read_all`.
    pub async fn read_all(&mut self) -> Result<Bytes> {
        kio::wait(|waiter| self.poll_read_all(waiter)).await
    }
}
