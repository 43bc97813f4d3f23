//! The link as the poll half of web-transport-trait 0.4, which the published core speaks.

use std::task::{Context, Poll};

use bytes::Bytes;
use published_moq_net::web_transport_trait as wt;

use crate::link::{DATAGRAM, End, Error, Recv, Send};

/// One end of a link for the published core.
#[derive(Clone)]
pub struct Published {
    end: End,
    protocol: Option<String>,
}

impl Published {
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

impl wt::poll::Session for Published {
    type SendStream = Send;
    type RecvStream = Recv;
    type Error = Error;

    fn poll_accept_uni(&mut self, cx: &mut Context<'_>) -> Poll<Result<Recv, Error>> {
        self.end.poll_accept_uni(cx)
    }

    fn poll_accept_bi(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Send, Recv), Error>> {
        self.end.poll_accept_bi(cx)
    }

    fn poll_open_uni(&mut self, _cx: &mut Context<'_>) -> Poll<Result<Send, Error>> {
        Poll::Ready(self.end.open_uni())
    }

    fn poll_open_bi(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(Send, Recv), Error>> {
        Poll::Ready(self.end.open_bi())
    }

    fn poll_send_datagram(
        &mut self,
        _cx: &mut Context<'_>,
        payload: &[u8],
    ) -> Poll<Result<(), Error>> {
        Poll::Ready(self.end.send_datagram(Bytes::copy_from_slice(payload)))
    }

    fn poll_recv_datagram(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        self.end.poll_recv_datagram(cx)
    }

    fn max_datagram_size(&self) -> usize {
        DATAGRAM
    }

    fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    fn close(&mut self, code: u32, reason: &str) {
        self.end.close(code, reason);
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        self.end.poll_closed(cx)
    }

    fn stats(&self) -> impl wt::Stats {
        wt::StatsUnavailable
    }
}

impl wt::poll::SendStream for Send {
    type Error = Error;

    fn poll_write(&mut self, _cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize, Error>> {
        Poll::Ready(Self::write(self, Bytes::copy_from_slice(buf)).map(|()| buf.len()))
    }

    fn set_priority(&mut self, _order: u8) {}

    fn finish(&mut self) -> Result<(), Error> {
        Self::finish(self)
    }

    fn reset(&mut self, code: u32) {
        Self::reset(self, code);
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Self::poll_closed(self, cx)
    }
}

impl wt::poll::RecvStream for Recv {
    type Error = Error;

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        dst: &mut [u8],
    ) -> Poll<Result<Option<usize>, Error>> {
        Self::poll_read(self, cx, dst.len()).map_ok(|chunk| {
            chunk.map(|chunk| {
                dst[..chunk.len()].copy_from_slice(&chunk);
                chunk.len()
            })
        })
    }

    fn stop(&mut self, code: u32) {
        Self::stop(self, code);
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Self::poll_closed(self, cx)
    }
}
