//! The transport of the core in a worker: streams are numbers here and real streams on the other side of the boundary.
//!
//! One lock guards all of it. Whoever changes state collects the waiters, unlocks, then wakes; the worker's calls arrive
//! between polls, so on wasm the lock is never contended.

mod inbound;
mod network;
mod recv;
mod send;
mod session;

pub(crate) use network::Network;
pub(crate) use session::Session;

use thiserror::Error;

/// Largest chunk the worker may hand over at once; it splits what is longer.
pub(crate) const CHUNK_LIMIT: usize = 64 << 10;
/// Unread bytes of one stream at which the worker stops reading it.
pub(crate) const STREAM_UNREAD_LIMIT: usize = 256 << 10;
/// Unread bytes of one session at which the worker stops reading its streams.
pub(crate) const SESSION_UNREAD_LIMIT: usize = 8 << 20;
/// Bytes of one stream that the transport has been given and not yet taken.
pub(crate) const STREAM_WINDOW: usize = 256 << 10;
/// The same for all streams of a session.
pub(crate) const SESSION_WINDOW: usize = 8 << 20;
/// Streams of the peer that nobody has accepted yet; more are refused. QUIC credit normally ends far below.
pub(crate) const ACCEPT_BACKLOG: usize = 2048;
/// Received datagrams nobody has read; the oldest goes first.
pub(crate) const DATAGRAM_BACKLOG: usize = 64;

/// How a stream or session of the host transport ended.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum TransportError {
    /// Either side closed the session.
    #[error("the session was closed with code {code}")]
    Closed {
        /// The session close code.
        code: u32,
        /// The text that came with it.
        reason: String,
    },
    /// The connection went away without a code.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// The peer reset the stream, or asked us to stop sending on it.
    #[error("the peer ended the stream with code {0}")]
    Stream(u32),
    /// The stream broke without a code.
    #[error("the stream broke")]
    Broken,
    /// The stream was finished, reset or stopped by this side.
    #[error("the stream was ended by this side")]
    Ended,
    /// The browser refused to open a stream.
    #[error("the stream could not be opened: {0}")]
    Open(String),
}

impl web_transport_trait::Error for TransportError {
    fn session_error(&self) -> Option<(u32, String)> {
        match self {
            Self::Closed { code, reason } => Some((*code, reason.clone())),
            _ => None,
        }
    }

    fn stream_error(&self) -> Option<u32> {
        match self {
            Self::Stream(code) => Some(*code),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
