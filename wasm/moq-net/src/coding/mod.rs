//! Bytes: integers, messages and streams. Knows no message of any protocol.

mod error;

pub use error::{DecodeError, EncodeError};
