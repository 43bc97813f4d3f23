//! Errors as the plain data that crosses to the worker: `worker/protocol/error.ts` is the other side.

use bytes::Bytes;
use moq_net::{Close, Error, Scope};

use wasm_bindgen::JsValue;

use crate::json::Object;

/// Who broke the rule an error is about: some kinds depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The caller of this worker.
    Caller,
    /// The peer, or nobody.
    Peer,
}

/// One failure on its way out: JSON text to JavaScript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorData {
    kind: &'static str,
    message: String,
    code: Option<(u32, Scope)>,
    retryable: bool,
    /// Text the peer sent along.
    reason: String,
}

/// A result whose failure can cross the boundary as it is.
pub(crate) type Result<T> = std::result::Result<T, ErrorData>;

impl ErrorData {
    /// The caller of this worker did something that cannot be done.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", message)
    }

    /// The handle an operation watched was freed.
    pub(crate) fn freed() -> Self {
        Self::new("closed", "the handle was freed")
    }

    /// The error a caller rejects a request with.
    pub(crate) fn from_kind(kind: &str) -> Result<Error> {
        Ok(match kind {
            "not-found" => Error::NotFound,
            "unauthorized" => Error::Unauthorized,
            "unsupported" => Error::Unsupported,
            "timeout" => Error::Timeout,
            "dropped" => Error::Dropped,
            "cancelled" => Error::Cancel,
            "going-away" => Error::GoingAway,
            _ => {
                return Err(Self::usage(format!(
                    "kind {kind} says nothing to a peer; use a code"
                )));
            }
        })
    }

    /// A peer's number does not fit in a JavaScript number.
    pub(crate) fn out_of_range(what: &str, value: u64) -> Self {
        Self::new("out-of-range", format!("{what} {value} is above 2^53 - 1"))
    }

    /// Convert an error of the core, saying what was being done.
    pub(crate) fn of(error: &Error, fault: Fault, doing: &str) -> Self {
        let text = if doing.is_empty() {
            error.to_string()
        } else {
            format!("{doing}: {error}")
        };
        Self {
            kind: kind(error, fault),
            message: text,
            code: code(error),
            retryable: is_retryable(error),
            reason: String::new(),
        }
    }

    /// Add what the peer said when it closed the session.
    pub(crate) fn with_close(mut self, close: &Close) -> Self {
        if let Some(code) = close.code {
            self.code = Some((code, Scope::Session));
            // The text has the same number: an application's own codes begin at 64 there, and at 0 for streams.
            if matches!(close.error, Error::App(_)) {
                let own = close.error.to_string();
                self.message = self
                    .message
                    .replace(&own, &format!("application error {code}"));
            }
        }
        self.reason.clone_from(&close.reason);
        // Where the peer says more than its code does.
        let is_told = close.code.is_some() && !close.local && !self.reason.is_empty();
        if is_told && self.reason != close.error.to_string() {
            self.message = format!("{} ({})", self.message, self.reason);
        }
        self
    }

    pub(crate) fn to_json(&self) -> String {
        let mut object = Object::new();
        object
            .text("kind", self.kind)
            .text("message", &self.message);
        if let Some((code, scope)) = self.code {
            let scope = match scope {
                Scope::Stream => "stream",
                Scope::Session => "session",
            };
            object.number("code", f64::from(code)).text("scope", scope);
        }
        if !self.reason.is_empty() {
            object.text("reason", &self.reason);
        }
        if self.retryable {
            object.flag("retryable", true);
        }
        object.end()
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        Bytes::from(self.to_json())
    }

    fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            code: None,
            retryable: false,
            reason: String::new(),
        }
    }
}

impl From<ErrorData> for JsValue {
    fn from(error: ErrorData) -> Self {
        Self::from_str(&error.to_json())
    }
}

/// What programs branch on. One arm per error of the core; the table is in the README.
fn kind(error: &Error, fault: Fault) -> &'static str {
    let rule = match fault {
        Fault::Caller => "usage",
        Fault::Peer => "protocol",
    };
    match error {
        Error::Cancel => "cancelled",
        Error::Old => "old",
        Error::Timeout | Error::Late { .. } => "timeout",
        Error::Session(cause) => kind(cause, fault),
        Error::Transport(_) => "transport",
        Error::Unauthorized => "unauthorized",
        Error::Version | Error::UnknownAlpn => "version",
        Error::Duplicate => "duplicate",
        Error::NotFound => "not-found",
        Error::Unsupported => "unsupported",
        Error::Encode(_) => "internal",
        Error::Dropped => "dropped",
        Error::Closed => "closed",
        Error::CacheFull => "lagged",
        Error::FrameTooLarge => "too-large",
        Error::Evicted => "evicted",
        Error::NoCapacity(_) => "no-capacity",
        Error::GoingAway => "going-away",
        Error::Remote { .. } => "remote",
        Error::App(_) => "app",
        Error::BoundsExceeded | Error::WrongSize | Error::TimestampMismatch => rule,
        Error::RequiredExtension
        | Error::Decode(_)
        | Error::UnexpectedStream
        | Error::ProtocolViolation
        | Error::UnexpectedMessage
        | Error::TooManyParameters
        | Error::InvalidRole
        | Error::Decompress => "protocol",
        // The enum may grow outside this crate: the test below lists every error and fails for one that ends here.
        _ => UNNAMED,
    }
}

/// The kind of an error this file does not know.
const UNNAMED: &str = "internal";

/// The number on the wire where the error keeps one.
fn code(error: &Error) -> Option<(u32, Scope)> {
    match error {
        Error::Remote { code, scope } => Some((*code, *scope)),
        // As it was given: that the codes of applications begin at 0x40 on a stream is a matter of the wire.
        Error::App(code) => Some((u32::from(*code), Scope::Stream)),
        Error::Session(cause) => match **cause {
            Error::App(code) => Some((0x40 + u32::from(code), Scope::Session)),
            _ => code(cause),
        },
        _ => None,
    }
}

/// True when the same request may succeed later, on this session or the next.
fn is_retryable(error: &Error) -> bool {
    if let Error::Session(cause) = error {
        return is_retryable(cause);
    }
    matches!(
        error,
        Error::Timeout
            | Error::Late { .. }
            | Error::Transport(_)
            | Error::NotFound
            | Error::Dropped
            | Error::Evicted
            | Error::NoCapacity(_)
            | Error::GoingAway
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_the_table() {
        let table = [
            (Error::Cancel, "cancelled"),
            (Error::RequiredExtension, "protocol"),
            (Error::Old, "old"),
            (Error::Timeout, "timeout"),
            (Error::Transport("lost".into()), "transport"),
            (Error::Unauthorized, "unauthorized"),
            (Error::Version, "version"),
            (Error::UnexpectedStream, "protocol"),
            (Error::BoundsExceeded, "protocol"),
            (Error::Duplicate, "duplicate"),
            (Error::NotFound, "not-found"),
            (Error::WrongSize, "protocol"),
            (Error::ProtocolViolation, "protocol"),
            (Error::UnexpectedMessage, "protocol"),
            (Error::Unsupported, "unsupported"),
            (Error::TooManyParameters, "protocol"),
            (Error::InvalidRole, "protocol"),
            (Error::UnknownAlpn, "version"),
            (Error::Dropped, "dropped"),
            (Error::Closed, "closed"),
            (Error::CacheFull, "lagged"),
            (Error::FrameTooLarge, "too-large"),
            (Error::Decompress, "protocol"),
            (Error::TimestampMismatch, "protocol"),
            (Error::Evicted, "evicted"),
            (Error::NoCapacity("tracks"), "no-capacity"),
            (Error::GoingAway, "going-away"),
            (Error::App(3), "app"),
            (
                Error::Late {
                    what: "the answer",
                    limit: std::time::Duration::from_secs(1),
                },
                "timeout",
            ),
            (Error::Session(Error::App(3).into()), "app"),
        ];
        for (error, expected) in table {
            assert_eq!(kind(&error, Fault::Peer), expected, "{error}");
        }
    }

    #[test]
    fn the_caller_is_blamed_for_its_own_mistakes_only() {
        for error in [
            Error::BoundsExceeded,
            Error::WrongSize,
            Error::TimestampMismatch,
        ] {
            assert_eq!(kind(&error, Fault::Caller), "usage");
        }
        assert_eq!(kind(&Error::NotFound, Fault::Caller), "not-found");
    }

    #[test]
    fn codes_travel_with_their_registry() {
        let remote = Error::Remote {
            code: 77,
            scope: Scope::Session,
        };
        assert_eq!(
            ErrorData::of(&remote, Fault::Peer, "").to_json(),
            r#"{"kind":"remote","message":"remote Session error 0x4d","code":77,"scope":"session"}"#
        );
        let ended = Error::Session(Error::App(1).into());
        assert_eq!(code(&ended), Some((0x41, Scope::Session)));
        let app = ErrorData::of(&Error::App(1), Fault::Peer, "track chat").to_json();
        assert_eq!(
            app,
            r#"{"kind":"app","message":"track chat: application error 1","code":1,"scope":"stream"}"#
        );
    }
}
