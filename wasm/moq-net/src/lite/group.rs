//! The group stream: which group of which subscription it carries.

use bytes::BytesMut;

use crate::{
    Version,
    coding::{Decode, DecodeError, Encode, EncodeError, Message},
};

/// GROUP: the publisher says what the stream carries; frames follow until the FIN (all versions).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupHeader {
    /// The id that the subscriber gave its SUBSCRIBE.
    pub subscribe: u64,
    /// The sequence of the group.
    pub sequence: u64,
    /// The index of the first frame on this stream, normally 0 (06 and later; elsewhere always 0).
    pub frame_start: u64,
}

impl Message for GroupHeader {
    type Version = Version;

    fn encode_body(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        self.subscribe.encode(buf, version)?;
        self.sequence.encode(buf, version)?;
        match version.has_frame_bounds() {
            true => self.frame_start.encode(buf, version),
            // A stream without its head would be taken for the whole group.
            false if self.frame_start != 0 => Err(EncodeError::Value),
            false => Ok(()),
        }
    }

    fn decode_body(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        Ok(Self {
            subscribe: u64::decode(buf, version)?,
            sequence: u64::decode(buf, version)?,
            frame_start: match version.has_frame_bounds() {
                true => u64::decode(buf, version)?,
                false => 0,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lite::check::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const GROUP: GroupHeader = GroupHeader {
        subscribe: 0,
        sequence: 1,
        frame_start: 0,
    };

    #[test]
    fn group_has_its_bytes_in_every_version() {
        for version in Version::ALL {
            match version.has_frame_bounds() {
                // length, subscribe, sequence, frame start
                true => vector(GROUP, version, "03 00 01 00"),
                // length, subscribe, sequence
                false => vector(GROUP, version, "02 00 01"),
            }
        }
    }

    #[test]
    fn a_group_that_starts_inside_needs_06() {
        let late = GroupHeader {
            frame_start: 3,
            ..GROUP
        };
        vector(late, Version::Lite06, "03 00 01 03");
        assert_eq!(unspeakable(&late, Version::Lite05), EncodeError::Value);
    }

    #[test]
    fn a_length_of_another_version_is_refused() {
        assert_eq!(
            parse::<GroupHeader>("03 00 01 00", Version::Lite05),
            Err(DecodeError::Length)
        );
        assert_eq!(
            parse::<GroupHeader>("02 00 01", Version::Lite06),
            Err(DecodeError::Length)
        );
    }
}
