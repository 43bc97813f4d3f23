//! The answer to a request: scoped handles and how long they may be used, or a refusal.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use moq_net::{Error, OriginConsumer, OriginProducer};

use super::lease::Lease;

/// What a client was granted.
pub struct Access {
    /// What it may read; absent: nothing.
    pub read: Option<OriginConsumer>,
    /// Where its broadcasts go; absent: it may publish nothing.
    pub write: Option<OriginProducer>,
    /// The configured identity its certificate proved, if that is what let it in.
    pub peer: Option<String>,
    /// How long. Whatever serves the client ends with it.
    pub lease: Lease,
}

/// Why a client is not let in, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The path cannot be one.
    #[error("invalid path")]
    Path,
    /// No token where one is needed, or one that proves nothing; the text says what is wrong with it.
    #[error("unauthorized: {0}")]
    Unauthorized(&'static str),
    /// The token has come to its end.
    #[error("unauthorized: the token has expired")]
    Expired,
    /// The key of the token was withdrawn.
    #[error("unauthorized: the key of the token was withdrawn")]
    Revoked,
    /// The token, certificate or page is known and has no right to this path.
    #[error("forbidden: {0}")]
    Forbidden(&'static str),
    /// The token is in use by as many clients as one token may have.
    #[error("too many clients use this token")]
    TooMany,
    /// Whether the client may come in cannot be found out now.
    #[error("the keys that check tokens cannot be read")]
    Unavailable,
}

impl Refusal {
    /// A token that cannot be understood.
    pub(super) const MALFORMED: Self = Self::Unauthorized("the token is malformed");

    /// The HTTP status that says so.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Path => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) | Self::Expired | Self::Revoked => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::BAD_GATEWAY,
        }
    }
}

/// What a session is closed with: unauthorized for 401 and 403, else `64 + status`.
impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Unauthorized,
            status => Self::App(status.as_u16()),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status(), format!("{self}\n")).into_response()
    }
}
