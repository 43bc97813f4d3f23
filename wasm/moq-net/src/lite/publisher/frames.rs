//! From the frames of a group to the bytes of a stream, for group streams and fetches alike.

use std::{
    sync::Arc,
    task::{Poll, ready},
};

use bytes::Bytes;
use kio::Waiter;
use web_transport_trait as wt;

use crate::{
    FrameConsumer, GroupConsumer, Result, Version,
    cost::traffic::{Count, Meter},
    lite::Writer,
    lite::{FrameHeader, Frames},
};

/// Bytes that are collected for one write. Enough that a write is worth its calls, little enough that one blocked write
/// says something about the network.
const BATCH: usize = 64 * 1024;

/// What of a group is still to be written.
pub(super) struct Content {
    group: GroupConsumer,
    headers: Frames,
    /// The frame under way.
    frame: Option<FrameConsumer>,
    /// What of its bytes did not fit into the last batch.
    rest: Bytes,
    /// The next frame or piece, found while waiting for it.
    found: Option<Item>,
    /// The last frame to write, inclusive.
    end: Option<u64>,
    /// Bytes of payload that were queued so far.
    sent: usize,
    meter: Arc<Meter>,
}

enum Item {
    Frame(FrameConsumer),
    Piece(Bytes),
    /// The frame under way is complete.
    Complete,
    /// The group, or the range asked for, is over.
    End,
}

impl Content {
    /// Everything from where `group` stands to frame `end`, inclusive.
    pub(super) fn new(
        group: GroupConsumer,
        end: Option<u64>,
        version: Version,
        meter: &Arc<Meter>,
    ) -> Self {
        meter.add(Count::Groups, 1);
        Self {
            headers: Frames::new(version, group.timescale().is_some()),
            group,
            frame: None,
            rest: Bytes::new(),
            found: None,
            end,
            sent: 0,
            meter: meter.clone(),
        }
    }

    pub(super) const fn group(&self) -> &GroupConsumer {
        &self.group
    }

    /// Bytes of payload that were queued so far.
    pub(super) const fn sent(&self) -> usize {
        self.sent
    }

    /// Ready when there is something to write.
    pub(super) fn poll_ready(&mut self, waiter: &Waiter) -> Poll<Result<()>> {
        if self.found.is_none() && self.rest.is_empty() {
            self.found = Some(ready!(self.poll_item(waiter))?);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_item(&mut self, waiter: &Waiter) -> Poll<Result<Item>> {
        if let Some(frame) = &mut self.frame {
            let piece = ready!(frame.poll_read_chunk(waiter))?;
            return Poll::Ready(Ok(piece.map_or(Item::Complete, Item::Piece)));
        }
        if self.end.is_some_and(|end| self.group.index() > end) {
            return Poll::Ready(Ok(Item::End));
        }
        let frame = ready!(self.group.poll_next_frame(waiter))?;
        Poll::Ready(Ok(frame.map_or(Item::End, Item::Frame)))
    }

    /// Queues what is ready, up to a batch; true once the end has been reached.
    ///
    /// # Errors
    /// What the group or a frame of it was aborted with, or [`Error::Encode`](crate::Error::Encode).
    pub(super) fn collect<S: wt::SendStream>(&mut self, writer: &mut Writer<S>) -> Result<bool> {
        let before = self.sent;
        let ended = self.batch(writer);
        self.meter.add(Count::Bytes, self.sent - before);
        ended
    }

    fn batch<S: wt::SendStream>(&mut self, writer: &mut Writer<S>) -> Result<bool> {
        let nobody = Waiter::noop();
        while writer.queued() < BATCH {
            if !self.rest.is_empty() {
                let size = self.rest.len().min(BATCH - writer.queued());
                writer.put_chunk(self.rest.split_to(size));
                self.sent += size;
                continue;
            }
            let item = match self.found.take() {
                Some(item) => item,
                None => match self.poll_item(&nobody) {
                    Poll::Ready(item) => item?,
                    Poll::Pending => return Ok(false),
                },
            };
            match item {
                Item::Frame(frame) => self.begin(frame, writer)?,
                Item::Piece(piece) => self.rest = piece,
                Item::Complete => self.frame = None,
                Item::End => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Queues the header of a frame.
    fn begin<S: wt::SendStream>(
        &mut self,
        frame: FrameConsumer,
        writer: &mut Writer<S>,
    ) -> Result<()> {
        // An untimed track has no other time than that of arrival, where the wire insists on one.
        let timestamp = self
            .headers
            .is_timed()
            .then(|| self.group.wire_timestamp(&frame).value);
        let size = frame.size() as u64;
        self.headers.put(writer, FrameHeader { timestamp, size })?;
        self.frame = Some(frame);
        self.meter.add(Count::Frames, 1);
        Ok(())
    }
}
