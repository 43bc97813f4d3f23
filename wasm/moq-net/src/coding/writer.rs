//! The sending half of a stream, as messages and payload.

use std::{collections::VecDeque, mem};

use bytes::{Bytes, BytesMut};
use web_transport_trait::SendStream;

use super::{Codes, Encode};
use crate::{Error, Result, Subject};

/// Payload below this is copied next to its header, so that small frames share a write; from here on it is passed by
/// reference. About one packet: a smaller write costs more in calls than its copy does.
const COALESCE: usize = 1024;

/// From here on what was put together is let go of with its memory, which smaller values use again.
const KEEP: usize = 8 * 1024;

/// Writes values and payload to a stream.
///
/// `put*` queue, [`Self::flush`] writes; `encode` and `chunk` do both. A dropped flush keeps what the transport has not
/// accepted, with one exception: a payload passed by reference (1 KiB and more) may be half written when its future is
/// dropped, and nobody can tell how far. The writer then refuses to go on, so **race large payload only against what ends
/// the stream**. Ordinary control messages are below that size.
///
/// Dropping it before [`Self::finish`] resets the stream ([`Error::Cancel`]).
pub struct Writer<S: SendStream, V: Codes> {
    stream: S,
    version: V,
    /// Sealed segments, in order; they come before `tail`.
    queue: VecDeque<Bytes>,
    tail: BytesMut,
    /// Bytes in `queue` and `tail` together.
    queued: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// No more writes, but a reset is still owed: a write failed, or one by reference is under way (found by anybody
    /// else, it was dropped half way).
    Torn,
    /// Finished or reset: no more writes, and nothing is owed.
    Closed,
}

impl<S: SendStream, V: Codes> Writer<S, V> {
    /// Writes to `stream` in the form of `version`.
    pub fn new(stream: S, version: V) -> Self {
        Self {
            stream,
            version,
            queue: VecDeque::new(),
            tail: BytesMut::new(),
            queued: 0,
            state: State::Open,
        }
    }

    /// The version that values are written in.
    pub fn version(&self) -> V {
        self.version
    }

    /// Changes the version, for the stream that negotiates it.
    pub fn set_version(&mut self, version: V) {
        self.version = version;
    }

    /// Bytes queued and not yet accepted by the transport.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Queues a value.
    ///
    /// # Errors
    /// [`Error::Encode`] when the version cannot express it; nothing of it is queued then.
    pub fn put<T: Encode<V> + ?Sized>(&mut self, value: &T) -> Result<()> {
        let start = self.tail.len();
        if let Err(error) = value.encode(&mut self.tail, self.version) {
            self.tail.truncate(start);
            return Err(error.into());
        }
        self.queued += self.tail.len() - start;
        Ok(())
    }

    /// Queues payload.
    pub fn put_chunk(&mut self, chunk: Bytes) {
        self.queued += chunk.len();
        if chunk.len() < COALESCE {
            self.tail.extend_from_slice(&chunk);
        } else {
            self.seal();
            self.queue.push_back(chunk);
        }
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    /// [`Error::Closed`] after the end or after a torn write; what the peer's refusal says; or what ended the session.
    pub async fn flush(&mut self) -> Result<()> {
        if self.state != State::Open {
            return Err(Error::Closed);
        }
        self.seal();
        while let Some(segment) = self.queue.front_mut() {
            let before = segment.len();
            let written = if before < COALESCE {
                self.stream.write_buf(segment).await.map(drop)
            } else {
                self.state = State::Torn;
                let chunk = mem::take(segment);
                let written = self.stream.write_chunk(chunk).await;
                self.state = State::Open;
                written
            };
            if let Err(error) = written {
                self.state = State::Torn;
                return Err(self.version.of_stream(&error));
            }
            self.queued -= before - segment.len();
            if segment.is_empty() {
                self.queue.pop_front();
            }
        }
        Ok(())
    }

    /// Writes a value, and what was queued before it.
    ///
    /// # Errors
    /// As [`Self::put`] and [`Self::flush`].
    pub async fn encode<T: Encode<V> + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.put(value)?;
        self.flush().await
    }

    /// Writes payload, and what was queued before it.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub async fn chunk(&mut self, chunk: Bytes) -> Result<()> {
        self.put_chunk(chunk);
        self.flush().await
    }

    /// Writes what is queued and ends the stream properly. Wait for [`Self::closed`] before letting go of the session.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub async fn finish(&mut self) -> Result<()> {
        self.flush().await?;
        self.state = State::Closed;
        let finished = self.stream.finish();
        finished.map_err(|error| self.version.of_stream(&error))
    }

    /// Whether all of it was written and the end said.
    pub(crate) fn is_finished(&self) -> bool {
        self.state == State::Closed
    }

    /// Gives up the stream and what it had not delivered, with the code for a group or a track.
    pub fn reset(&mut self, error: &Error) {
        self.reset_about(error, Subject::Data);
    }

    /// Gives up the stream and what it had not delivered, with the code for `subject`. Also after [`Self::finish`].
    pub fn reset_about(&mut self, error: &Error, subject: Subject) {
        self.state = State::Closed;
        self.queue.clear();
        self.tail.clear();
        self.queued = 0;
        self.stream.reset(self.version.stream_code(error, subject));
    }

    /// Orders this stream among those of the session: higher goes first.
    pub fn set_priority(&mut self, order: i32) {
        self.stream.set_priority(order);
    }

    /// Waits until the peer acknowledged the end of the stream, or refused it.
    ///
    /// # Errors
    /// What the refusal says, or what happened to the session.
    pub async fn closed(&mut self) -> Result<()> {
        let version = self.version;
        let closed = self.stream.closed().await;
        closed.map_err(|error| version.of_stream(&error))
    }

    fn seal(&mut self) {
        if self.tail.len() >= KEEP {
            self.queue.push_back(mem::take(&mut self.tail).freeze());
        } else if !self.tail.is_empty() {
            self.queue.push_back(self.tail.split().freeze());
        }
    }
}

impl<S: SendStream, V: Codes> Drop for Writer<S, V> {
    fn drop(&mut self) {
        if self.state != State::Closed {
            self.reset(&Error::Cancel);
        }
    }
}
