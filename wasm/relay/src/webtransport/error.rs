//! What ends a session or a stream.

use std::sync::{Arc, OnceLock};

use web_transport_quinn as wt;
use wt::{proto, quinn};

/// Why a session did not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// The connection ended.
    #[error("connection lost: {0}")]
    Connection(#[from] quinn::ConnectionError),
    /// The SETTINGS are not settings.
    #[error("invalid SETTINGS: {0}")]
    Settings(#[from] proto::SettingsError),
    /// The client speaks HTTP/3, and no WebTransport.
    #[error("the client has no WebTransport")]
    Unsupported,
    /// The first request is no CONNECT for WebTransport, or its answer could not be written.
    #[error("invalid CONNECT: {0}")]
    Connect(#[from] proto::ConnectError),
}

/// How a session ended.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum SessionError {
    /// The peer closed it.
    #[error("closed with code {0}: {1}")]
    Closed(u32, String),
    /// This side closed it.
    #[error("closed by this side")]
    Local,
    /// The peer broke the stream that the session lives by.
    #[error("the peer gave the session up")]
    Abandoned,
    /// The connection is gone.
    #[error("connection lost: {0}")]
    Lost(quinn::ConnectionError),
    /// A datagram could not be sent.
    #[error("datagram not sent: {0}")]
    Datagram(quinn::SendDatagramError),
}

impl From<quinn::ConnectionError> for SessionError {
    fn from(error: quinn::ConnectionError) -> Self {
        // A client that closes in a hurry says its code there, and no other peer uses codes of that range.
        if let quinn::ConnectionError::ApplicationClosed(close) = &error
            && let Some(code) = proto::error_from_http3(close.error_code.into_inner())
        {
            return Self::Closed(code, String::from_utf8_lossy(&close.reason).into_owned());
        }
        Self::Lost(error)
    }
}

impl web_transport_trait::Error for SessionError {
    fn session_error(&self) -> Option<(u32, String)> {
        match self {
            Self::Closed(code, reason) => Some((*code, reason.clone())),
            _ => None,
        }
    }
}

/// How the session ended, which is settled once: the cause of whatever else fails from then on.
#[derive(Debug, Clone, Default)]
pub(super) struct End(Arc<OnceLock<SessionError>>);

impl End {
    /// Whether this was the first to say so.
    pub(super) fn set(&self, error: SessionError) -> bool {
        self.0.set(error).is_ok()
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.get().is_some()
    }

    /// Why the connection failed.
    pub(super) fn cause(&self, error: quinn::ConnectionError) -> SessionError {
        self.0.get().cloned().unwrap_or_else(|| error.into())
    }

    /// A code with which the peer reset or stopped a stream.
    pub(super) fn code(&self, code: quinn::VarInt) -> StreamError {
        match (proto::error_from_http3(code.into_inner()), self.0.get()) {
            (Some(code), _) => StreamError::Code(code),
            (None, Some(end)) => StreamError::Session(end.clone()),
            (None, None) => StreamError::Foreign(code),
        }
    }
}

/// How a stream ended.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum StreamError {
    /// The peer reset or stopped it with this code.
    #[error("ended with code {0}")]
    Code(u32),
    /// The peer reset or stopped it with a code that is not one of WebTransport.
    #[error("ended with HTTP/3 code {0}")]
    Foreign(quinn::VarInt),
    /// The session ended.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// It was used after its end.
    #[error("stream is closed")]
    Closed,
}

impl web_transport_trait::Error for StreamError {
    fn session_error(&self) -> Option<(u32, String)> {
        match self {
            Self::Session(error) => error.session_error(),
            _ => None,
        }
    }

    fn stream_error(&self) -> Option<u32> {
        match self {
            Self::Code(code) => Some(*code),
            _ => None,
        }
    }
}
