//! The numbers of errors, as readers and writers of streams need them.

use web_transport_trait as wt;

use crate::{Error, Subject};

/// The registries of one dialect: how its versions number errors, and what the numbers mean.
pub trait Codes: Copy {
    /// The number for a reset or STOP_SENDING of a stream about `subject`.
    fn stream_code(self, error: &Error, subject: Subject) -> u32;

    /// The number for a session close.
    fn session_code(self, error: &Error) -> u32;

    /// What a received reset or STOP_SENDING code means.
    fn stream_error(self, code: u32) -> Error;

    /// What a received session close code means. A clean end is [`Error::Closed`].
    fn session_error(self, code: u32) -> Error;

    /// What an error of the transport means: a code of the peer where there is one, else a lost connection.
    fn of_transport(self, error: &impl wt::Error) -> Error {
        if let Some(code) = error.stream_error() {
            return self.stream_error(code);
        }
        match error.session_error() {
            Some((code, _reason)) => self.session_error(code),
            None => Error::Transport(error.to_string().into()),
        }
    }

    /// What an error of a stream means: a code of the peer for this stream, or the end of the session.
    fn of_stream(self, error: &impl wt::Error) -> Error {
        match error.stream_error() {
            Some(code) => self.stream_error(code),
            None => self.of_transport(error).of_session(),
        }
    }
}
