//! Messages: a length and exactly as many bytes.

use bytes::{BufMut, BytesMut};

use super::{Decode, DecodeError, Encode, EncodeError, Form, value};

/// A message with a length in front. Implementors write and read the body; the trait keeps the length honest.
///
/// Every message is [`Encode`] and [`Decode`] with its length included.
pub trait Message: Sized {
    /// The versions of its dialect.
    type Version: Form;

    /// Appends the body.
    ///
    /// # Errors
    /// What the version cannot express.
    fn encode_body(&self, buf: &mut BytesMut, version: Self::Version) -> Result<(), EncodeError>;

    /// Reads the body, all of which is in `buf`.
    ///
    /// # Errors
    /// Whatever is wrong with it; running out of bytes included.
    fn decode_body(buf: &mut &[u8], version: Self::Version) -> Result<Self, DecodeError>;
}

impl<M: Message> Encode<M::Version> for M {
    fn encode(&self, buf: &mut BytesMut, version: M::Version) -> Result<(), EncodeError> {
        with_length(buf, version, |body| self.encode_body(body, version))
    }
}

impl<M: Message> Decode<M::Version> for M {
    fn decode(buf: &mut &[u8], version: M::Version) -> Result<Self, DecodeError> {
        exactly(buf, version, |body| Self::decode_body(body, version))
    }
}

/// Appends what `body` writes, with its length in front.
pub(crate) fn with_length(
    buf: &mut BytesMut,
    version: impl Form,
    body: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let mut bytes = BytesMut::new();
    body(&mut bytes)?;
    (bytes.len() as u64).encode(buf, version)?;
    buf.put_slice(&bytes);
    Ok(())
}

/// Reads a length, then lets `body` read exactly as many bytes.
pub(crate) fn exactly<T>(
    buf: &mut &[u8],
    version: impl Form,
    body: impl FnOnce(&mut &[u8]) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let length = u64::decode(buf, version)?;
    whole(value::take(buf, length)?, body)
}

/// Lets `body` read all of `bytes`: running out of them or leaving some is the sender's mistake in the length.
pub(crate) fn whole<T>(
    mut bytes: &[u8],
    body: impl FnOnce(&mut &[u8]) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let value = body(&mut bytes).map_err(|error| match error {
        DecodeError::Short(_) => DecodeError::Length,
        other => other,
    })?;
    match bytes.is_empty() {
        true => Ok(value),
        false => Err(DecodeError::Length),
    }
}
