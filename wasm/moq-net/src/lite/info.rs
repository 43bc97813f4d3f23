//! What travels on the session stream after the handshake (01, 02).

use bytes::BytesMut;

use crate::{
    Version,
    coding::{Decode, DecodeError, Encode, EncodeError, Message},
};

/// SESSION_INFO: either side tells its estimate of the link, any number of times (01, 02).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionInfo {
    /// Bits per second; 0 when unknown.
    pub bitrate: u64,
}

impl Message for SessionInfo {
    type Version = Version;

    fn encode_body(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        match version.has_session_stream() {
            true => self.bitrate.encode(buf, version),
            false => Err(EncodeError::Version(version.name())),
        }
    }

    fn decode_body(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        match version.has_session_stream() {
            true => u64::decode(buf, version).map(|bitrate| Self { bitrate }),
            false => Err(DecodeError::Version(version.name())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lite::check::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn session_info_has_its_bytes_on_01_and_02_only() {
        let info = SessionInfo { bitrate: 1_000_000 };
        for version in Version::ALL {
            match version.has_session_stream() {
                // length, bitrate
                true => vector(info, version, "04 800f4240"),
                false => {
                    assert_eq!(
                        unspeakable(&info, version),
                        EncodeError::Version(version.name())
                    );
                    let result = parse::<SessionInfo>("01 00", version);
                    assert_eq!(result, Err(DecodeError::Version(version.name())));
                }
            }
        }
    }
}
