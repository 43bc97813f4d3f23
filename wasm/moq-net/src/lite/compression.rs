//! How payloads are packed.

use bytes::BytesMut;

use crate::{
    Version,
    coding::{Decode, DecodeError, Encode, EncodeError},
};

/// How every payload of a track is packed (05-wip; other versions send them as they are).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// As it is.
    #[default]
    None,
    /// Each payload is a raw DEFLATE stream of its own (RFC 1951); frame sizes count the packed bytes.
    Deflate,
}

impl Encode for Compression {
    fn encode(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        match self {
            Self::None => 0_u64,
            Self::Deflate => 1,
        }
        .encode(buf, version)
    }
}

impl Decode for Compression {
    fn decode(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        match u64::decode(buf, version)? {
            0 => Ok(Self::None),
            1 => Ok(Self::Deflate),
            _ => Err(DecodeError::Value),
        }
    }
}
