//! Streams of a session: QUIC streams, with the codes of WebTransport.

use bytes::Bytes;
use web_transport_quinn::quinn;

use super::code_to_http3;
use super::error::{End, SessionError, StreamError};

/// The sending half.
pub(crate) struct SendStream {
    stream: quinn::SendStream,
    end: End,
}

impl SendStream {
    pub(super) const fn new(stream: quinn::SendStream, end: End) -> Self {
        Self { stream, end }
    }

    fn failed(&self, error: quinn::WriteError) -> StreamError {
        match error {
            quinn::WriteError::Stopped(code) => self.end.code(code),
            quinn::WriteError::ConnectionLost(error) => self.end.cause(error).into(),
            quinn::WriteError::ClosedStream | quinn::WriteError::ZeroRttRejected => {
                StreamError::Closed
            }
        }
    }
}

impl web_transport_trait::SendStream for SendStream {
    type Error = StreamError;

    async fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        let written = self.stream.write(buf).await;
        written.map_err(|error| self.failed(error))
    }

    async fn write_chunk(&mut self, chunk: Bytes) -> Result<(), Self::Error> {
        let written = self.stream.write_chunk(chunk).await;
        written.map_err(|error| self.failed(error))
    }

    fn set_priority(&mut self, order: i32) {
        // It fails for a stream that is over, which has no use for it.
        let _over = self.stream.set_priority(order);
    }

    fn finish(&mut self) -> Result<(), Self::Error> {
        self.stream.finish().map_err(|_closed| StreamError::Closed)
    }

    fn reset(&mut self, code: u32) {
        let _over = self.stream.reset(code_to_http3(code));
    }

    async fn closed(&mut self) -> Result<(), Self::Error> {
        match self.stream.stopped().await {
            Ok(None) => Ok(()),
            Ok(Some(code)) => Err(self.end.code(code)),
            Err(quinn::StoppedError::ConnectionLost(error)) => Err(self.end.cause(error).into()),
            Err(quinn::StoppedError::ZeroRttRejected) => Err(StreamError::Closed),
        }
    }
}

/// The receiving half.
pub(crate) struct RecvStream {
    stream: quinn::RecvStream,
    end: End,
}

impl RecvStream {
    pub(super) const fn new(stream: quinn::RecvStream, end: End) -> Self {
        Self { stream, end }
    }

    fn failed(&self, error: quinn::ReadError) -> StreamError {
        match error {
            quinn::ReadError::Reset(code) => self.end.code(code),
            quinn::ReadError::ConnectionLost(error) => self.end.cause(error).into(),
            quinn::ReadError::ClosedStream
            | quinn::ReadError::IllegalOrderedRead
            | quinn::ReadError::ZeroRttRejected => StreamError::Closed,
        }
    }
}

impl web_transport_trait::RecvStream for RecvStream {
    type Error = StreamError;

    async fn read(&mut self, dst: &mut [u8]) -> Result<Option<usize>, Self::Error> {
        let read = self.stream.read(dst).await;
        read.map_err(|error| self.failed(error))
    }

    async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, Self::Error> {
        let read = self.stream.read_chunk(max, true).await;
        let read = read.map_err(|error| self.failed(error))?;
        Ok(read.map(|chunk| chunk.bytes))
    }

    fn stop(&mut self, code: u32) {
        let _over = self.stream.stop(code_to_http3(code));
    }

    async fn closed(&mut self) -> Result<(), Self::Error> {
        match self.stream.received_reset().await {
            Ok(None) => Ok(()),
            Ok(Some(code)) => Err(self.end.code(code)),
            Err(quinn::ResetError::ConnectionLost(error)) => {
                Err(StreamError::from(self.end.cause(error)))
            }
            Err(quinn::ResetError::ZeroRttRejected) => Err(SessionError::Abandoned.into()),
        }
    }
}
