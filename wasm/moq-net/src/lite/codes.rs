//! The numbers that errors have on the wire of moq-lite: one table for streams, one for sessions, and the one of 05-wip for both.

use super::Version;
use crate::{
    Error, Scope, Subject,
    coding::{Codes, DecodeError},
};

/// The first code of the application's own range, in every registry.
const APP: u32 = 0x40;

/// What no capacity means when a peer says so, which sends a number only.
const TOO_MANY_REQUESTS: &str = "the publisher, or a relay on the way, serves no more requests at a time; a page that publishes \
    over WebTransport has 100: let it connect over WebSocket, or spread its broadcasts over several connections; or ask again later";

impl Codes for Version {
    fn stream_code(self, error: &Error, subject: Subject) -> u32 {
        if self.has_decimal_codes() {
            return decimal_code(error);
        }
        match error {
            Error::Cancel | Error::Duplicate => 0x01,
            Error::Timeout | Error::Late { .. } => match subject {
                Subject::Control | Subject::Route => 0x31,
                Subject::Data | Subject::Session => 0x02,
            },
            Error::Closed => match subject {
                Subject::Session => 0x03,
                _ => 0x01,
            },
            Error::GoingAway => 0x04,
            Error::CacheFull => 0x05,
            Error::Decode(_)
            | Error::BoundsExceeded
            | Error::ProtocolViolation
            | Error::UnexpectedMessage
            | Error::TooManyParameters
            | Error::Decompress => 0x12,
            Error::NotFound => match subject {
                Subject::Route => 0x36,
                _ => 0x33,
            },
            Error::Old => 0x34,
            Error::NoCapacity(_) => 0x30,
            Error::Evicted => 0x35,
            // A path out of scope looks like an unknown one.
            Error::Unauthorized => 0x36,
            Error::WrongSize => 0x37,
            Error::FrameTooLarge => 0x38,
            Error::TimestampMismatch => 0x39,
            Error::App(code) => APP + u32::from(*code),
            // Decided locally, never meant for the wire, or not ours to forward.
            Error::RequiredExtension
            | Error::Transport(_)
            | Error::Version
            | Error::UnexpectedStream
            | Error::Unsupported
            | Error::Encode(_)
            | Error::InvalidRole
            | Error::UnknownAlpn
            | Error::Dropped
            | Error::Session(_)
            | Error::Remote { .. } => 0x00,
        }
    }

    fn session_code(self, error: &Error) -> u32 {
        if self.has_decimal_codes() {
            return decimal_code(error);
        }
        match error {
            Error::Cancel | Error::Closed => 0x00,
            Error::Unauthorized => 0x02,
            Error::RequiredExtension
            | Error::Decode(_)
            | Error::BoundsExceeded
            | Error::Duplicate
            | Error::WrongSize
            | Error::ProtocolViolation
            | Error::UnexpectedMessage
            | Error::InvalidRole => 0x03,
            Error::TooManyParameters => 0x06,
            Error::GoingAway => 0x10,
            Error::Timeout | Error::Late { .. } => 0x11,
            Error::Version | Error::UnknownAlpn => 0x15,
            Error::App(code) => APP + u32::from(*code),
            // Internal: our own fault, an error that never ends a session by itself, or a foreign number.
            Error::Old
            | Error::Transport(_)
            | Error::UnexpectedStream
            | Error::NotFound
            | Error::Unsupported
            | Error::Encode(_)
            | Error::Dropped
            | Error::Session(_)
            | Error::CacheFull
            | Error::FrameTooLarge
            | Error::Decompress
            | Error::TimestampMismatch
            | Error::NoCapacity(_)
            | Error::Evicted
            | Error::Remote { .. } => 0x01,
        }
    }

    fn stream_error(self, code: u32) -> Error {
        if self.has_decimal_codes() {
            return decimal_error(code, Scope::Stream);
        }
        match code {
            // 0x00 is "internal error", but JS peers abort everything with it.
            0x00 | 0x01 => Error::Cancel,
            0x02 | 0x31 => Error::Timeout,
            0x03 => Error::Closed,
            0x04 => Error::GoingAway,
            0x05 => Error::CacheFull,
            0x12 => Error::ProtocolViolation,
            0x30 => Error::NoCapacity(TOO_MANY_REQUESTS),
            0x33 | 0x36 => Error::NotFound,
            0x34 => Error::Old,
            0x35 => Error::Evicted,
            0x32 | 0x38 => Error::FrameTooLarge,
            0x37 => Error::WrongSize,
            0x39 => Error::TimestampMismatch,
            _ => app_error(code, Scope::Stream),
        }
    }

    fn session_error(self, code: u32) -> Error {
        if self.has_decimal_codes() {
            return match decimal_error(code, Scope::Session) {
                Error::Cancel => Error::Closed,
                other => other,
            };
        }
        match code {
            0x00 => Error::Closed,
            0x02 => Error::Unauthorized,
            // 15 is the old number, which published JS still sends.
            0x03 | 0x06 | 0x0f => Error::ProtocolViolation,
            0x10 => Error::GoingAway,
            0x11 => Error::Timeout,
            0x15 => Error::Version,
            _ => app_error(code, Scope::Session),
        }
    }
}

impl Version {
    /// Whether `error` ends the whole session whatever stream it came on. On announce and SETUP streams *every* decode error does,
    /// which the reader of those streams knows.
    pub const fn ends_session(self, error: &Error) -> bool {
        matches!(error, Error::Decode(DecodeError::Length)) && self.length_mismatch_ends_session()
    }
}

/// The one table that streams and sessions share on 05-wip.
fn decimal_code(error: &Error) -> u32 {
    match error {
        Error::Cancel => 0,
        Error::RequiredExtension => 1,
        Error::Old => 2,
        // The nearest thing to no capacity that the table of that time knows.
        Error::Timeout | Error::Late { .. } | Error::NoCapacity(_) => 3,
        Error::Transport(_) => 4,
        Error::Decode(_) => 5,
        Error::Unauthorized => 6,
        Error::Version => 9,
        Error::UnexpectedStream => 10,
        Error::BoundsExceeded => 11,
        Error::Duplicate => 12,
        Error::NotFound => 13,
        Error::WrongSize => 14,
        Error::ProtocolViolation => 15,
        Error::UnexpectedMessage => 16,
        Error::Unsupported => 17,
        Error::Encode(_) => 18,
        Error::TooManyParameters => 19,
        Error::InvalidRole => 20,
        Error::UnknownAlpn => 21,
        Error::Dropped | Error::Session(_) => 24,
        // The table of that time has no draining: the nearest thing it knows.
        Error::Closed | Error::GoingAway => 25,
        Error::CacheFull => 26,
        Error::FrameTooLarge => 27,
        Error::Decompress => 28,
        Error::TimestampMismatch => 29,
        Error::Evicted => 31,
        Error::Remote { code, .. } => *code,
        Error::App(code) => APP + u32::from(*code),
    }
}

fn decimal_error(code: u32, scope: Scope) -> Error {
    match code {
        0 => Error::Cancel,
        2 => Error::Old,
        3 => Error::Timeout,
        6 => Error::Unauthorized,
        5 | 10 | 11 | 15 | 16 | 19 | 20 => Error::ProtocolViolation,
        9 | 21 => Error::Version,
        12 => Error::Duplicate,
        13 | 30 => Error::NotFound,
        14 => Error::WrongSize,
        17 => Error::Unsupported,
        // Transport: the peer lost the connection that it came by.
        4 if scope == Scope::Stream => Error::Dropped,
        24 => Error::Dropped,
        25 => Error::Closed,
        26 => Error::CacheFull,
        27 => Error::FrameTooLarge,
        28 => Error::Decompress,
        29 => Error::TimestampMismatch,
        31 => Error::Evicted,
        _ => app_error(code, scope),
    }
}

fn app_error(code: u32, scope: Scope) -> Error {
    match code.checked_sub(APP).map(u16::try_from) {
        Some(Ok(app)) => Error::App(app),
        _ => Error::Remote { code, scope },
    }
}

#[cfg(test)]
mod tests;
