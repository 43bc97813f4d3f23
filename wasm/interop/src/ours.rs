//! The link as web-transport-trait 0.5, which our core speaks.

use std::future::poll_fn;

use bytes::Bytes;
use web_transport_trait as wt;

use crate::link::{DATAGRAM, End, Error, Recv, Send};

/// One end of a link for our core.
#[derive(Clone)]
pub struct Ours {
    end: End,
    protocol: Option<String>,
}

impl Ours {
    /// Wraps an end that has negotiated `protocol`.
    #[must_use]
    pub fn new(end: End, protocol: Option<&str>) -> Self {
        Self {
            end,
            protocol: protocol.map(str::to_owned),
        }
    }
}

impl wt::Error for Error {
    fn session_error(&self) -> Option<(u32, String)> {
        match self {
            Self::Closed(code, reason) => Some((*code, reason.clone())),
            Self::Stream(_) => None,
        }
    }

    fn stream_error(&self) -> Option<u32> {
        match self {
            Self::Stream(code) => Some(*code),
            Self::Closed(..) => None,
        }
    }
}

impl wt::Session for Ours {
    type SendStream = Send;
    type RecvStream = Recv;
    type Error = Error;

    async fn accept_uni(&self) -> Result<Recv, Error> {
        poll_fn(|cx| self.end.poll_accept_uni(cx)).await
    }

    async fn accept_bi(&self) -> Result<(Send, Recv), Error> {
        poll_fn(|cx| self.end.poll_accept_bi(cx)).await
    }

    async fn open_bi(&self) -> Result<(Send, Recv), Error> {
        self.end.open_bi()
    }

    async fn open_uni(&self) -> Result<Send, Error> {
        self.end.open_uni()
    }

    fn send_datagram(&self, payload: Bytes) -> Result<(), Error> {
        self.end.send_datagram(payload)
    }

    async fn recv_datagram(&self) -> Result<Bytes, Error> {
        poll_fn(|cx| self.end.poll_recv_datagram(cx)).await
    }

    fn max_datagram_size(&self) -> usize {
        DATAGRAM
    }

    fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    fn close(&self, code: u32, reason: &str) {
        self.end.close(code, reason);
    }

    async fn closed(&self) -> Error {
        poll_fn(|cx| self.end.poll_closed(cx)).await
    }
}

impl wt::SendStream for Send {
    type Error = Error;

    async fn write(&mut self, buf: &[u8]) -> Result<usize, Error> {
        Self::write(self, Bytes::copy_from_slice(buf))?;
        Ok(buf.len())
    }

    async fn write_chunk(&mut self, chunk: Bytes) -> Result<(), Error> {
        Self::write(self, chunk)
    }

    fn set_priority(&mut self, _order: i32) {}

    fn finish(&mut self) -> Result<(), Error> {
        Self::finish(self)
    }

    fn reset(&mut self, code: u32) {
        Self::reset(self, code);
    }

    async fn closed(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_closed(cx)).await
    }
}

impl wt::RecvStream for Recv {
    type Error = Error;

    async fn read(&mut self, dst: &mut [u8]) -> Result<Option<usize>, Error> {
        let chunk = poll_fn(|cx| self.poll_read(cx, dst.len())).await?;
        Ok(chunk.map(|chunk| {
            dst[..chunk.len()].copy_from_slice(&chunk);
            chunk.len()
        }))
    }

    async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| self.poll_read(cx, max)).await
    }

    fn stop(&mut self, code: u32) {
        Self::stop(self, code);
    }

    async fn closed(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_closed(cx)).await
    }
}
