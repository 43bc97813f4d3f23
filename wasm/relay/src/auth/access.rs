//! The answer to a request: scoped handles and how long they may be used, or a refusal.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use moq_net::{Error, OriginConsumer, OriginProducer};

/// What a client was granted.
pub struct Access {
    /// What it may read; absent: nothing.
    pub read: Option<OriginConsumer>,
    /// Where its broadcasts go; absent: it may publish nothing.
    pub write: Option<OriginProducer>,
    /// How long.
    pub lease: Lease,
}

/// How long an access lasts. Everything that serves a client ends with it.
#[derive(Clone, Debug, Default)]
pub struct Lease {}

impl Lease {
    /// Waits until the access is over, and says why. Cancel-safe; any number may wait.
    pub async fn ended(&self) -> Refusal {
        std::future::pending().await
    }
}

/// Why a client is not let in, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The path cannot be one.
    #[error("invalid path")]
    Invalid,
    /// No right, or none that can be proved.
    #[error("unauthorized")]
    Unauthorized,
}

impl Refusal {
    /// The HTTP status that says so.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
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
