//! Bytes: integers, messages and streams. Knows no message of any protocol.

mod codes;
mod error;
pub(crate) mod message;
mod reader;
pub(crate) mod value;
mod varint;
mod writer;

use bytes::BytesMut;

pub use codes::Codes;
pub use error::{DecodeError, EncodeError};
pub use message::Message;
pub use reader::Reader;
pub use varint::MAX_VARINT;
pub use writer::Writer;

use crate::Version;

/// Something that can be written to the wire.
pub trait Encode {
    /// Appends the value in the form of `version`. On an error `buf` may hold a part of it.
    ///
    /// # Errors
    /// What the version cannot express: our own fault, never the peer's.
    fn encode(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError>;
}

/// Something that can be read from the wire.
pub trait Decode: Sized {
    /// Takes the value off the front of `buf`. On an error `buf` may have moved.
    ///
    /// # Errors
    /// [`DecodeError::Short`] asks for more bytes, at least as many as it says and never too many; anything else is final.
    fn decode(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError>;
}

#[cfg(test)]
mod tests;
