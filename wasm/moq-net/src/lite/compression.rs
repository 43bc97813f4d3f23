//! How payloads are packed.

use bytes::{Bytes, BytesMut};
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_with_limit};

use crate::{
    Error, Result, Version,
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

impl Compression {
    /// The payload in `packed`, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::FrameTooLarge`] when it is more, before more than that is held; [`Error::Decompress`] when it is no payload.
    pub(crate) fn unpack(self, packed: &Bytes, limit: usize) -> Result<Bytes> {
        match self {
            Self::None => Ok(packed.clone()),
            Self::Deflate => match decompress_to_vec_with_limit(packed, limit) {
                Ok(payload) => Ok(payload.into()),
                Err(error) if error.status == TINFLStatus::HasMoreOutput => {
                    Err(Error::FrameTooLarge)
                }
                Err(_) => Err(Error::Decompress),
            },
        }
    }
}

impl Encode<Version> for Compression {
    fn encode(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        match self {
            Self::None => 0_u64,
            Self::Deflate => 1,
        }
        .encode(buf, version)
    }
}

impl Decode<Version> for Compression {
    fn decode(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        match u64::decode(buf, version)? {
            0 => Ok(Self::None),
            1 => Ok(Self::Deflate),
            _ => Err(DecodeError::Value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lite::check::hex;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn unpack(text: &str, limit: usize) -> Result<Bytes> {
        Compression::Deflate.unpack(&hex(text).into(), limit)
    }

    #[test]
    fn a_packed_payload_is_a_deflate_stream_of_its_own() {
        let hello = "cb48cdc9c957c8402701";
        assert_eq!(unpack(hello, 100), Ok("hello hello hello hello".into()));
        assert_eq!(unpack("03 00", 100), Ok(Bytes::new()));
        assert_eq!(Compression::None.unpack(&"x".into(), 0), Ok("x".into()));
    }

    #[test]
    fn too_much_and_nonsense_are_refused() {
        let hello = "cb48cdc9c957c8402701";
        assert_eq!(unpack(hello, 23).map(|payload| payload.len()), Ok(23));
        assert_eq!(unpack(hello, 22), Err(Error::FrameTooLarge));
        for nonsense in ["", "ff", "cb48cdc9c957c84027"] {
            assert_eq!(unpack(nonsense, 100), Err(Error::Decompress), "{nonsense}");
        }
    }
}
