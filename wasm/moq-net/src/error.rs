//! The error of this crate. Its numbers on the wire belong to the dialects.

use std::{sync::Arc, time::Duration};

use crate::coding::{DecodeError, EncodeError};

/// A result with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Which registry of codes a number belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Codes of stream resets and STOP_SENDING.
    Stream,
    /// Codes of session closes.
    Session,
}

/// What a stream code speaks about: the same error has different numbers for different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Groups, frames and tracks: not found is 0x33, a timeout 0x02.
    Data,
    /// A request or control message: a timeout is 0x31.
    Control,
    /// A broadcast or the route to it: not found is 0x36.
    Route,
    /// A stream that ends because its session did: closed is 0x03.
    Session,
}

/// Everything that can end a request, a stream or a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody is interested any more; the ordinary end of an idle track, not a failure.
    #[error("cancelled")]
    Cancel,
    /// The peer insists on an extension that we do not have.
    #[error("required extension is missing")]
    RequiredExtension,
    /// The group is older than the allowed latency.
    #[error("group is too old")]
    Old,
    /// The other side took too long.
    #[error("timed out")]
    Timeout,
    /// The other side took too long to do this.
    #[error("{what} did not come within {} s", limit.as_secs().max(1))]
    Late {
        /// What was waited for.
        what: &'static str,
        /// For how long.
        limit: Duration,
    },
    /// The connection is gone; the text is the transport's.
    #[error("transport: {0}")]
    Transport(Arc<str>),
    /// The peer sent bytes that are no message.
    #[error("malformed message: {0}")]
    Decode(DecodeError),
    /// The path is outside the granted prefixes.
    #[error("unauthorized")]
    Unauthorized,
    /// There is no common version, or the negotiated one lacks the feature.
    #[error("not possible with this protocol version")]
    Version,
    /// The peer opened a stream of an unknown type. Never fatal to the session.
    #[error("unexpected stream type")]
    UnexpectedStream,
    /// A number, path or list is beyond its limit.
    #[error("value exceeds its bounds")]
    BoundsExceeded,
    /// The sequence, name or path is already taken.
    #[error("already exists")]
    Duplicate,
    /// Never existed, or nobody can serve it.
    #[error("not found")]
    NotFound,
    /// The bytes of a frame disagree with its declared size.
    #[error("frame size disagrees with its bytes")]
    WrongSize,
    /// The peer broke a rule of the protocol.
    #[error("protocol violation")]
    ProtocolViolation,
    /// A valid message in the wrong state.
    #[error("unexpected message")]
    UnexpectedMessage,
    /// Not supported here.
    #[error("not supported")]
    Unsupported,
    /// Our own message cannot be written; never the peer's fault.
    #[error("cannot encode: {0}")]
    Encode(EncodeError),
    /// More parameters than allowed.
    #[error("too many parameters")]
    TooManyParameters,
    /// The peer may not take the role it asked for.
    #[error("invalid role")]
    InvalidRole,
    /// The transport agreed on a token of no known version.
    #[error("unknown application protocol")]
    UnknownAlpn,
    /// The owner (producer, request, broadcast) vanished without finishing.
    #[error("dropped")]
    Dropped,
    /// The session that carried it ended for this reason, which concerns its two ends only: readers elsewhere are told that
    /// the owner is gone.
    #[error("{0}")]
    Session(Arc<Self>),
    /// Already finished or closed.
    #[error("closed")]
    Closed,
    /// The reader fell behind what is still held.
    #[error(
        "too far behind: the oldest frames of the group are not kept any more (at its publisher group_frames or group_bytes, 8192 \
         or 32 MiB; or viewer_bytes or viewer_groups, of what a relay keeps for one reader): start new groups sooner, or read faster"
    )]
    CacheFull,
    /// The frame is larger than allowed.
    #[error(
        "frame too large: above max_frame, 16 MiB, of this side, the publisher or a relay on the way, or too much was on its way at \
         once (assembly_bytes): send smaller frames"
    )]
    FrameTooLarge,
    /// A compressed payload cannot be expanded (only 05-wip has them).
    #[error("cannot decompress")]
    Decompress,
    /// The timing of a frame does not fit its track.
    #[error("timestamp does not fit the track")]
    TimestampMismatch,
    /// As many things as are served at a time are being served; the text names them, and a way out.
    #[error("no capacity: {0}")]
    NoCapacity(&'static str),
    /// Given up under memory pressure; may be fetched again.
    #[error(
        "evicted: the groups of all tracks together were more than cache_bytes (64 MiB in a page, 512 MiB in a relay) and this one was \
         used longest ago: read it sooner, or fetch it again"
    )]
    Evicted,
    /// The session is draining: no new requests.
    #[error("going away")]
    GoingAway,
    /// A code that means nothing to us, kept as received.
    #[error("remote {scope:?} error {code:#x}")]
    Remote {
        /// The number as received.
        code: u32,
        /// The registry it belongs to.
        scope: Scope,
    },
    /// The application's own code.
    #[error("application error {0}")]
    App(u16),
}

impl Error {
    /// As the end of something that the session carried which ended so.
    pub(crate) fn of_session(self) -> Self {
        match self {
            // These say everywhere that somebody is gone.
            Self::Transport(_) | Self::Closed | Self::Cancel | Self::Dropped | Self::Session(_) => {
                self
            }
            other => Self::Session(Arc::new(other)),
        }
    }

    /// As the end of a handshake, which is all of its session.
    pub(crate) fn of_handshake(self) -> Self {
        match self {
            Self::Session(cause) => Arc::unwrap_or_clone(cause),
            other => other,
        }
    }

    /// As the end of something that a peer sends: who gives up sending has dropped it. That something is not wanted any more
    /// only its reader can say.
    pub(crate) fn of_sender(self) -> Self {
        match self {
            Self::Cancel | Self::Closed => Self::Dropped,
            other => other,
        }
    }

    /// Whether it is the peer's ordinary way to say that it lost interest, not a failure.
    pub const fn is_routine(&self) -> bool {
        matches!(self, Self::Cancel | Self::Closed)
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Bounds => Self::BoundsExceeded,
            DecodeError::Stream(_) => Self::UnexpectedStream,
            DecodeError::TooManyParameters => Self::TooManyParameters,
            other => Self::Decode(other),
        }
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}
