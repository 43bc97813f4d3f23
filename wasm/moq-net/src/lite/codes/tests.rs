//! The codes are a contract with published peers: this pins every one of them.

use std::time::Duration;

use super::*;
use crate::coding::EncodeError;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Error, stream code, session code, code on 05-wip.
fn table() -> Vec<(Error, u32, u32, u32)> {
    vec![
        (Error::Cancel, 0x01, 0x00, 0),
        (Error::RequiredExtension, 0x00, 0x03, 1),
        (Error::Old, 0x34, 0x01, 2),
        (Error::Timeout, 0x02, 0x11, 3),
        (
            Error::Late {
                what: "an answer",
                limit: Duration::from_secs(10),
            },
            0x02,
            0x11,
            3,
        ),
        (Error::Transport("gone".into()), 0x00, 0x01, 4),
        (Error::Decode(DecodeError::Utf8), 0x12, 0x03, 5),
        (Error::Unauthorized, 0x36, 0x02, 6),
        (Error::Version, 0x00, 0x15, 9),
        (Error::UnexpectedStream, 0x00, 0x01, 10),
        (Error::BoundsExceeded, 0x12, 0x03, 11),
        (Error::Duplicate, 0x01, 0x03, 12),
        (Error::NotFound, 0x33, 0x01, 13),
        (Error::WrongSize, 0x37, 0x03, 14),
        (Error::ProtocolViolation, 0x12, 0x03, 15),
        (Error::UnexpectedMessage, 0x12, 0x03, 16),
        (Error::Unsupported, 0x00, 0x01, 17),
        (Error::Encode(EncodeError::Bounds), 0x00, 0x01, 18),
        (Error::TooManyParameters, 0x12, 0x06, 19),
        (Error::InvalidRole, 0x00, 0x03, 20),
        (Error::UnknownAlpn, 0x00, 0x15, 21),
        (Error::Dropped, 0x00, 0x01, 24),
        (Error::Session(Error::Unauthorized.into()), 0x00, 0x01, 24),
        (Error::Closed, 0x01, 0x00, 25),
        (Error::CacheFull, 0x05, 0x01, 26),
        (Error::FrameTooLarge, 0x38, 0x01, 27),
        (Error::Decompress, 0x12, 0x01, 28),
        (Error::TimestampMismatch, 0x39, 0x01, 29),
        (Error::Evicted, 0x35, 0x01, 31),
        (Error::GoingAway, 0x04, 0x10, 25),
        (Error::NoCapacity("tracks"), 0x30, 0x01, 3),
        (
            Error::Remote {
                code: 0x3f,
                scope: Scope::Stream,
            },
            0x00,
            0x01,
            0x3f,
        ),
        (Error::App(0), 0x40, 0x40, 64),
        (Error::App(u16::MAX), 0x1003f, 0x1003f, 65599),
    ]
}

#[test]
fn every_error_has_its_numbers_in_every_registry() {
    for (error, stream, session, decimal) in table() {
        for version in Version::ALL {
            let (stream, session) = match version {
                Version::Lite05Wip => (decimal, decimal),
                _ => (stream, session),
            };
            assert_eq!(
                version.stream_code(&error, Subject::Data),
                stream,
                "{error:?} on {version}"
            );
            assert_eq!(
                version.session_code(&error),
                session,
                "{error:?} on {version}"
            );
        }
    }
}

#[test]
fn the_subject_of_a_stream_decides_between_numbers_of_one_error() {
    for (error, subject, code) in [
        (Error::NotFound, Subject::Data, 0x33),
        (Error::NotFound, Subject::Control, 0x33),
        (Error::NotFound, Subject::Route, 0x36),
        (Error::Timeout, Subject::Data, 0x02),
        (Error::Timeout, Subject::Control, 0x31),
        (Error::Timeout, Subject::Route, 0x31),
        (Error::Closed, Subject::Control, 0x01),
        (Error::Closed, Subject::Session, 0x03),
    ] {
        assert_eq!(
            Version::Lite06.stream_code(&error, subject),
            code,
            "{error:?} {subject:?}"
        );
    }
    assert_eq!(
        Version::Lite05Wip.stream_code(&Error::NotFound, Subject::Route),
        13
    );
}

#[test]
fn received_stream_codes_are_understood() {
    for (code, error) in [
        (0x00, Error::Cancel),
        (0x01, Error::Cancel),
        (0x02, Error::Timeout),
        (0x03, Error::Closed),
        (0x04, Error::GoingAway),
        (0x05, Error::CacheFull),
        (0x12, Error::ProtocolViolation),
        (0x31, Error::Timeout),
        (0x32, Error::FrameTooLarge),
        (0x33, Error::NotFound),
        (0x34, Error::Old),
        (0x35, Error::Evicted),
        (0x36, Error::NotFound),
        (0x37, Error::WrongSize),
        (0x38, Error::FrameTooLarge),
        (0x39, Error::TimestampMismatch),
        (0x40, Error::App(0)),
        (0x1003f, Error::App(u16::MAX)),
    ] {
        assert_eq!(Version::Lite05.stream_error(code), error, "{code:#x}");
    }
}

#[test]
fn received_session_codes_are_understood() {
    for (code, error) in [
        (0x00, Error::Closed),
        (0x02, Error::Unauthorized),
        (0x03, Error::ProtocolViolation),
        (0x06, Error::ProtocolViolation),
        (0x0f, Error::ProtocolViolation),
        (0x10, Error::GoingAway),
        (0x11, Error::Timeout),
        (0x15, Error::Version),
        (0x41, Error::App(1)),
    ] {
        assert_eq!(Version::Lite06.session_error(code), error, "{code:#x}");
    }
}

#[test]
fn unknown_and_reserved_codes_are_kept_as_numbers() {
    for code in [0x06, 0x11, 0x20, 0x2f, 0x3a, 0x3f, 0x10040, u32::MAX] {
        let scope = Scope::Stream;
        assert_eq!(
            Version::Lite06.stream_error(code),
            Error::Remote { code, scope }
        );
    }
    for code in [0x01, 0x04, 0x14, 0x3f, 0x10040, u32::MAX] {
        let scope = Scope::Session;
        assert_eq!(
            Version::Lite06.session_error(code),
            Error::Remote { code, scope }
        );
    }
}

#[test]
fn decimal_codes_are_understood_on_05_wip_only() {
    for (code, error) in [
        (0, Error::Cancel),
        (2, Error::Old),
        (13, Error::NotFound),
        (26, Error::CacheFull),
        (30, Error::NotFound),
        (31, Error::Evicted),
        (64, Error::App(0)),
    ] {
        assert_eq!(Version::Lite05Wip.stream_error(code), error, "{code}");
    }
    assert_eq!(Version::Lite05Wip.session_error(0), Error::Closed);
    assert_eq!(
        Version::Lite05Wip.session_error(4),
        Error::Remote {
            code: 4,
            scope: Scope::Session
        }
    );
    assert_ne!(Version::Lite05.stream_error(13), Error::NotFound);
}

#[test]
fn a_wrong_message_length_ends_the_session_from_06_on() {
    let error = Error::from(DecodeError::Length);
    for version in Version::ALL {
        let expected = matches!(version, Version::Lite06 | Version::Lite07Wip);
        assert_eq!(version.ends_session(&error), expected, "{version}");
        assert!(!version.ends_session(&DecodeError::Short(1).into()));
    }
}
