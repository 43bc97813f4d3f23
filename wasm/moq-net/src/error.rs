//! The error of this crate, and the numbers it has on the wire.

use std::{sync::Arc, time::Duration};

use crate::{
    Version,
    coding::{DecodeError, EncodeError},
};

/// A result with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The first code of the application's own range, in every registry.
const APP: u32 = 0x40;

/// What no capacity means when a peer says so, which sends a number only.
const TOO_MANY_REQUESTS: &str = "the publisher, or a relay on the way, serves no more requests at a time; a page that publishes \
    over WebTransport has 100: let it connect over WebSocket, or spread its broadcasts over several connections; or ask again later";

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
    /// The number for a reset or STOP_SENDING of a group or a track: [`Self::to_stream_code_for`] data.
    pub fn to_stream_code(&self, version: Version) -> u32 {
        self.to_stream_code_for(Subject::Data, version)
    }

    /// The number for a reset or STOP_SENDING of a stream about `subject`.
    pub fn to_stream_code_for(&self, subject: Subject, version: Version) -> u32 {
        if version.has_decimal_codes() {
            return self.to_decimal();
        }
        match self {
            Self::Cancel | Self::Duplicate => 0x01,
            Self::Timeout | Self::Late { .. } => match subject {
                Subject::Control | Subject::Route => 0x31,
                Subject::Data | Subject::Session => 0x02,
            },
            Self::Closed => match subject {
                Subject::Session => 0x03,
                _ => 0x01,
            },
            Self::GoingAway => 0x04,
            Self::CacheFull => 0x05,
            Self::Decode(_)
            | Self::BoundsExceeded
            | Self::ProtocolViolation
            | Self::UnexpectedMessage
            | Self::TooManyParameters
            | Self::Decompress => 0x12,
            Self::NotFound => match subject {
                Subject::Route => 0x36,
                _ => 0x33,
            },
            Self::Old => 0x34,
            Self::NoCapacity(_) => 0x30,
            Self::Evicted => 0x35,
            // A path out of scope looks like an unknown one.
            Self::Unauthorized => 0x36,
            Self::WrongSize => 0x37,
            Self::FrameTooLarge => 0x38,
            Self::TimestampMismatch => 0x39,
            Self::App(code) => APP + u32::from(*code),
            // Decided locally, never meant for the wire, or not ours to forward.
            Self::RequiredExtension
            | Self::Transport(_)
            | Self::Version
            | Self::UnexpectedStream
            | Self::Unsupported
            | Self::Encode(_)
            | Self::InvalidRole
            | Self::UnknownAlpn
            | Self::Dropped
            | Self::Session(_)
            | Self::Remote { .. } => 0x00,
        }
    }

    /// The number for a session close.
    pub fn to_session_code(&self, version: Version) -> u32 {
        if version.has_decimal_codes() {
            return self.to_decimal();
        }
        match self {
            Self::Cancel | Self::Closed => 0x00,
            Self::Unauthorized => 0x02,
            Self::RequiredExtension
            | Self::Decode(_)
            | Self::BoundsExceeded
            | Self::Duplicate
            | Self::WrongSize
            | Self::ProtocolViolation
            | Self::UnexpectedMessage
            | Self::InvalidRole => 0x03,
            Self::TooManyParameters => 0x06,
            Self::GoingAway => 0x10,
            Self::Timeout | Self::Late { .. } => 0x11,
            Self::Version | Self::UnknownAlpn => 0x15,
            Self::App(code) => APP + u32::from(*code),
            // Internal: our own fault, an error that never ends a session by itself, or a foreign number.
            Self::Old
            | Self::Transport(_)
            | Self::UnexpectedStream
            | Self::NotFound
            | Self::Unsupported
            | Self::Encode(_)
            | Self::Dropped
            | Self::Session(_)
            | Self::CacheFull
            | Self::FrameTooLarge
            | Self::Decompress
            | Self::TimestampMismatch
            | Self::NoCapacity(_)
            | Self::Evicted
            | Self::Remote { .. } => 0x01,
        }
    }

    /// The one table that streams and sessions share on 05-wip.
    fn to_decimal(&self) -> u32 {
        match self {
            Self::Cancel => 0,
            Self::RequiredExtension => 1,
            Self::Old => 2,
            // The nearest thing to no capacity that the table of that time knows.
            Self::Timeout | Self::Late { .. } | Self::NoCapacity(_) => 3,
            Self::Transport(_) => 4,
            Self::Decode(_) => 5,
            Self::Unauthorized => 6,
            Self::Version => 9,
            Self::UnexpectedStream => 10,
            Self::BoundsExceeded => 11,
            Self::Duplicate => 12,
            Self::NotFound => 13,
            Self::WrongSize => 14,
            Self::ProtocolViolation => 15,
            Self::UnexpectedMessage => 16,
            Self::Unsupported => 17,
            Self::Encode(_) => 18,
            Self::TooManyParameters => 19,
            Self::InvalidRole => 20,
            Self::UnknownAlpn => 21,
            Self::Dropped | Self::Session(_) => 24,
            // The table of that time has no draining: the nearest thing it knows.
            Self::Closed | Self::GoingAway => 25,
            Self::CacheFull => 26,
            Self::FrameTooLarge => 27,
            Self::Decompress => 28,
            Self::TimestampMismatch => 29,
            Self::Evicted => 31,
            Self::Remote { code, .. } => *code,
            Self::App(code) => APP + u32::from(*code),
        }
    }

    /// What a received reset or STOP_SENDING code means.
    pub fn from_stream_code(code: u32, version: Version) -> Self {
        if version.has_decimal_codes() {
            return Self::from_decimal(code, Scope::Stream);
        }
        match code {
            // 0x00 is "internal error", but JS peers abort everything with it.
            0x00 | 0x01 => Self::Cancel,
            0x02 | 0x31 => Self::Timeout,
            0x03 => Self::Closed,
            0x04 => Self::GoingAway,
            0x05 => Self::CacheFull,
            0x12 => Self::ProtocolViolation,
            0x30 => Self::NoCapacity(TOO_MANY_REQUESTS),
            0x33 | 0x36 => Self::NotFound,
            0x34 => Self::Old,
            0x35 => Self::Evicted,
            0x32 | 0x38 => Self::FrameTooLarge,
            0x37 => Self::WrongSize,
            0x39 => Self::TimestampMismatch,
            _ => Self::from_app(code, Scope::Stream),
        }
    }

    /// What a received session close code means. Without a version (nothing agreed yet) the common registry counts.
    /// 0x00 is a clean end: [`Error::Closed`].
    pub fn from_session_code(code: u32, version: impl Into<Option<Version>>) -> Self {
        if version.into().is_some_and(Version::has_decimal_codes) {
            return match Self::from_decimal(code, Scope::Session) {
                Self::Cancel => Self::Closed,
                other => other,
            };
        }
        match code {
            0x00 => Self::Closed,
            0x02 => Self::Unauthorized,
            // 15 is the old number, which published JS still sends.
            0x03 | 0x06 | 0x0f => Self::ProtocolViolation,
            0x10 => Self::GoingAway,
            0x11 => Self::Timeout,
            0x15 => Self::Version,
            _ => Self::from_app(code, Scope::Session),
        }
    }

    fn from_decimal(code: u32, scope: Scope) -> Self {
        match code {
            0 => Self::Cancel,
            2 => Self::Old,
            3 => Self::Timeout,
            6 => Self::Unauthorized,
            5 | 10 | 11 | 15 | 16 | 19 | 20 => Self::ProtocolViolation,
            9 | 21 => Self::Version,
            12 => Self::Duplicate,
            13 | 30 => Self::NotFound,
            14 => Self::WrongSize,
            17 => Self::Unsupported,
            // Transport: the peer lost the connection that it came by.
            4 if scope == Scope::Stream => Self::Dropped,
            24 => Self::Dropped,
            25 => Self::Closed,
            26 => Self::CacheFull,
            27 => Self::FrameTooLarge,
            28 => Self::Decompress,
            29 => Self::TimestampMismatch,
            31 => Self::Evicted,
            _ => Self::from_app(code, scope),
        }
    }

    fn from_app(code: u32, scope: Scope) -> Self {
        match code.checked_sub(APP).map(u16::try_from) {
            Some(Ok(app)) => Self::App(app),
            _ => Self::Remote { code, scope },
        }
    }

    /// What an error of the transport means: a code of the peer where there is one, else a lost connection.
    pub fn from_transport(
        error: &impl web_transport_trait::Error,
        version: impl Into<Option<Version>>,
    ) -> Self {
        let version = version.into();
        if let Some(code) = error.stream_error() {
            // A stream that exists before the version does can only be the one that negotiates it.
            return Self::from_stream_code(code, version.unwrap_or(Version::Lite02));
        }
        match error.session_error() {
            Some((code, _reason)) => Self::from_session_code(code, version),
            None => Self::Transport(error.to_string().into()),
        }
    }

    /// What an error of a stream means: a code of the peer for this stream, or the end of the session.
    pub(crate) fn from_stream(error: &impl web_transport_trait::Error, version: Version) -> Self {
        match error.stream_error() {
            Some(code) => Self::from_stream_code(code, version),
            None => Self::from_transport(error, version).of_session(),
        }
    }

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

    /// Whether it ends the whole session whatever stream it came on (see [`DecodeError::ends_session`]).
    pub const fn ends_session(&self, version: Version) -> bool {
        match self {
            Self::Decode(error) => error.ends_session(version),
            _ => false,
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

#[cfg(test)]
mod tests;
