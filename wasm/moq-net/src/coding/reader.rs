//! The receiving half of a stream, as messages and payload.

use std::{future::Future, pin::pin, sync::Arc, task::Poll};

use bytes::{Buf, Bytes, BytesMut};
use web_transport_trait::{Error as _, RecvStream};

use kio::{MaybeSend, MaybeSync};

use super::{Codes, Decode, DecodeError};
use crate::{Error, Result, Subject, time::Sleep};

/// The default of the most that is asked of the transport at once, which bounds what is held beyond the current item.
const READ: usize = 64 * 1024;

/// The default bound of one message: far above what published peers send.
const LIMIT: usize = 64 * 1024;

/// How long the rest of a value may take, by a clock that the reader does not know.
pub trait Timer: MaybeSend + MaybeSync + 'static {
    /// Resolves when a value that begins now is late.
    fn start(&self) -> Sleep;
}

/// Reads values and payload from a stream.
///
/// Every method is cancel-safe: what a dropped future had read stays here for the next call. Payload is handed out as
/// slices of the transport's own chunks; only an item that spans chunks is put together in a buffer, which grows by
/// what arrives and never by what a length promises.
///
/// Dropping it before the end tells the peer to stop ([`Error::Cancel`]).
pub struct Reader<R: RecvStream, V: Codes> {
    source: Source<R>,
    version: V,
    limit: usize,
    read: usize,
    /// How long the rest of a value may take, once its first byte is here.
    timer: Option<Arc<dyn Timer>>,
    /// When the value that has begun is late.
    late: Option<Sleep>,
    /// The start of an item that spans chunks; it comes before what the source holds.
    head: BytesMut,
}

/// The stream, and what came of it last.
struct Source<R> {
    stream: R,
    /// What the transport gave last and nobody took yet.
    chunk: Bytes,
    /// Cleared by the FIN, by an error and by a stop: there is nothing left to refuse then.
    open: bool,
    /// Whether the peer gave the stream up.
    reset: bool,
}

impl<R: RecvStream, V: Codes> Reader<R, V> {
    /// Reads `stream` in the form of `version`, with messages of at most 64 KiB.
    pub fn new(stream: R, version: V) -> Self {
        Self {
            source: Source {
                stream,
                chunk: Bytes::new(),
                open: true,
                reset: false,
            },
            version,
            limit: LIMIT,
            read: READ,
            timer: None,
            late: None,
            head: BytesMut::new(),
        }
    }

    /// Sets the most bytes that one decoded value may take, its length included.
    pub fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Sets the most bytes that are held beyond the current item.
    pub fn set_buffer(&mut self, bytes: usize) {
        self.read = bytes.max(1);
    }

    /// Sets how long the rest of a value may take, once its first byte is here. Without it there is no such bound.
    pub fn set_timer(&mut self, timer: Arc<dyn Timer>) {
        self.timer = Some(timer);
    }

    /// The version that values are read in.
    pub fn version(&self) -> V {
        self.version
    }

    /// Changes the version, for the stream that negotiates it.
    pub fn set_version(&mut self, version: V) {
        self.version = version;
    }

    /// Waits for the next value.
    ///
    /// # Errors
    /// What is wrong with the value, [`DecodeError::Short`] when the stream ends before it is complete, or what ended the stream.
    pub async fn decode<T: Decode<V>>(&mut self) -> Result<T> {
        match self.decode_maybe().await? {
            Some(value) => Ok(value),
            None => Err(DecodeError::Short(1).into()),
        }
    }

    /// Waits for the next value; `None` when the stream ended properly before it began.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub async fn decode_maybe<T: Decode<V>>(&mut self) -> Result<Option<T>> {
        loop {
            if let Some(value) = self.try_decode()? {
                self.late = None;
                return Ok(Some(value));
            }
            if !self.more().await? {
                return match self.head.is_empty() {
                    true => Ok(None),
                    false => Err(DecodeError::Short(1).into()),
                };
            }
        }
    }

    /// The next value if all of it has already arrived.
    ///
    /// # Errors
    /// What is wrong with the value; [`DecodeError::TooLarge`] as soon as its length shows it.
    pub fn try_decode<T: Decode<V>>(&mut self) -> Result<Option<T>, DecodeError> {
        loop {
            let bytes: &[u8] = match self.head.is_empty() {
                true => &self.source.chunk,
                false => &self.head,
            };
            let mut rest = bytes;
            let need = match T::decode(&mut rest, self.version) {
                Ok(value) => {
                    let taken = bytes.len() - rest.len();
                    match self.head.is_empty() {
                        true => self.source.chunk.advance(taken),
                        false => self.head.advance(taken),
                    }
                    return Ok(Some(value));
                }
                Err(DecodeError::Short(need)) => need,
                Err(error) => return Err(error),
            };
            if bytes.len().saturating_add(need) > self.limit {
                return Err(DecodeError::TooLarge);
            }
            // A value asks for no more than it needs, so nothing behind it is copied.
            let (more, all) = match self.head.is_empty() {
                true => (self.source.chunk.len(), true),
                false => (
                    need.min(self.source.chunk.len()),
                    self.source.chunk.is_empty(),
                ),
            };
            self.grow(more, need);
            self.head
                .extend_from_slice(&self.source.chunk.split_to(more));
            if all {
                return Ok(None);
            }
        }
    }

    /// Makes room for `more` bytes of a value that lacks `need`: twice what is here, but no more than the value will take.
    fn grow(&mut self, more: usize, need: usize) {
        let len = self.head.len();
        if self.head.capacity() - len >= more {
            return;
        }
        let room = (2 * len).min(len.saturating_add(need)).max(len + more);
        let mut head = BytesMut::with_capacity(room);
        head.extend_from_slice(&self.head);
        self.head = head;
    }

    /// Waits for payload: at least one byte and at most `max`, as it came from the transport, without a copy.
    ///
    /// # Errors
    /// [`Error::WrongSize`] when the stream ends instead, or what ended it. `max` of zero gives no bytes at once.
    pub async fn read_exact_chunk(&mut self, max: usize) -> Result<Bytes> {
        if max == 0 {
            return Ok(Bytes::new());
        }
        loop {
            if !self.head.is_empty() {
                let size = max.min(self.head.len());
                return Ok(self.head.split_to(size).freeze());
            }
            if !self.source.chunk.is_empty() {
                let size = max.min(self.source.chunk.len());
                return Ok(self.source.chunk.split_to(size));
            }
            if !self.fill().await? {
                return Err(Error::WrongSize);
            }
        }
    }

    /// Waits for the end of the stream.
    ///
    /// # Errors
    /// [`Error::ProtocolViolation`] if anything comes before it, or what broke the stream.
    pub async fn finished(&mut self) -> Result<()> {
        if self.has_buffered() || self.fill().await? {
            return Err(Error::ProtocolViolation);
        }
        Ok(())
    }

    /// Whether bytes are here that nobody took yet.
    pub fn has_buffered(&self) -> bool {
        !self.head.is_empty() || !self.source.chunk.is_empty()
    }

    /// Whether the stream has ended or broken, and nothing of it is left.
    pub(crate) fn is_over(&self) -> bool {
        !self.source.open && !self.has_buffered()
    }

    /// Whether the peer gave the stream up.
    pub(crate) const fn was_reset(&self) -> bool {
        self.source.reset
    }

    /// Refuses the rest of the stream, with the code for a group or a track.
    pub fn stop(&mut self, error: &Error) {
        self.stop_about(error, Subject::Data);
    }

    /// Refuses the rest of the stream, with the code for `subject`.
    pub fn stop_about(&mut self, error: &Error, subject: Subject) {
        if std::mem::take(&mut self.source.open) {
            self.source
                .stream
                .stop(self.version.stream_code(error, subject));
        }
        self.head.clear();
        self.source.chunk.clear();
    }

    /// Waits until the peer reset the stream, or all of it was read, without reading it.
    ///
    /// # Errors
    /// What the reset says, or what happened to the session.
    pub async fn closed(&mut self) -> Result<()> {
        let version = self.version;
        let closed = self.source.stream.closed().await;
        closed.map_err(|error| version.of_stream(&error))
    }

    /// All of the next `size` bytes as one payload, if they have already arrived in one piece.
    pub(crate) fn take_exact(&mut self, size: usize) -> Option<Bytes> {
        if self.head.is_empty() && self.source.chunk.len() >= size {
            return Some(self.source.chunk.split_to(size));
        }
        // What spans chunks is left to be read in pieces, except where nothing would be read.
        (size == 0).then(Bytes::new)
    }

    /// Waits until there is something to read, or the stream has ended.
    ///
    /// # Errors
    /// What broke the stream.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        if !self.has_buffered() {
            self.fill().await?;
        }
        Ok(())
    }

    /// As [`Self::fill`], in time for a value that has begun.
    ///
    /// # Errors
    /// As [`Self::fill`], and [`Error::Timeout`].
    async fn more(&mut self) -> Result<bool> {
        // The timer is kept across dropped futures: who drips bytes gains nothing by it.
        if !self.head.is_empty()
            && self.late.is_none()
            && let Some(timer) = &self.timer
        {
            self.late = Some(timer.start());
        }
        let late = &mut self.late;
        let mut pull = pin!(self.source.pull(self.read, self.version));
        std::future::poll_fn(|cx| {
            if let Poll::Ready(pulled) = pull.as_mut().poll(cx) {
                return Poll::Ready(pulled);
            }
            match late {
                Some(late) => late.as_mut().poll(cx).map(|()| Err(Error::Timeout)),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Waits for a chunk that is not empty; false at the end of the stream. Only when nothing but the start of a value is
    /// buffered, which is what [`Self::try_decode`] leaves.
    pub(crate) async fn fill(&mut self) -> Result<bool> {
        self.source.pull(self.read, self.version).await
    }
}

impl<R: RecvStream> Source<R> {
    async fn pull(&mut self, max: usize, version: impl Codes) -> Result<bool> {
        debug_assert!(self.chunk.is_empty(), "what was read would be lost");
        while self.open {
            match self.stream.read_chunk(max).await {
                Ok(Some(chunk)) if chunk.is_empty() => {}
                Ok(Some(chunk)) => {
                    self.chunk = chunk;
                    return Ok(true);
                }
                Ok(None) => self.open = false,
                Err(error) => {
                    self.open = false;
                    self.reset = error.stream_error().is_some();
                    return Err(version.of_stream(&error));
                }
            }
        }
        Ok(false)
    }
}

impl<R: RecvStream, V: Codes> Drop for Reader<R, V> {
    fn drop(&mut self) {
        self.stop(&Error::Cancel);
    }
}
