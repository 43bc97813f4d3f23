//! Bytes: integers, messages and streams. Names no protocol and no version: what depends on one is asked of it, as [`Form`] and
//! [`Codes`].

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
pub use reader::{Reader, Timer};
pub use varint::{MAX_VARINT, Varint};
pub use writer::Writer;

/// How the versions of a dialect write the values that all messages are made of.
pub trait Form: Copy {
    /// The form of its integers.
    fn varint(self) -> Varint;
}

/// Something that can be written to the wire, in the versions `V`.
pub trait Encode<V> {
    /// Appends the value in the form of `version`. On an error `buf` may hold a part of it.
    ///
    /// # Errors
    /// What the version cannot express: our own fault, never the peer's.
    fn encode(&self, buf: &mut BytesMut, version: V) -> Result<(), EncodeError>;
}

/// Something that can be read from the wire, in the versions `V`.
pub trait Decode<V>: Sized {
    /// Takes the value off the front of `buf`. On an error `buf` may have moved.
    ///
    /// # Errors
    /// [`DecodeError::Short`] asks for more bytes, at least as many as it says and never too many; anything else is final.
    fn decode(buf: &mut &[u8], version: V) -> Result<Self, DecodeError>;
}

#[cfg(test)]
mod tests;
