//! What a stream is for: the number every stream begins with.

use bytes::BytesMut;

use crate::{
    Version,
    coding::{Decode, DecodeError, Encode, EncodeError},
};

/// The purpose of a bidirectional stream. The opener writes it, followed by its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ControlType {
    /// The subscriber asks for announcements (all versions).
    Announce,
    /// The subscriber asks for a track (all versions).
    Subscribe,
    /// The subscriber asks for one group (05-wip and later).
    Fetch,
    /// The subscriber asks for estimates of the link (03 and later).
    Probe,
    /// Either side announces that it will go away (04 and later).
    Goaway,
    /// The subscriber asks for the properties of a track (05 and later, not 05-wip).
    Track,
    /// The client negotiates the version (01, 02); the stream goes on with CLIENT_SETUP and stays open.
    Session,
}

impl ControlType {
    const ALL: [Self; 7] = [
        Self::Announce,
        Self::Subscribe,
        Self::Fetch,
        Self::Probe,
        Self::Goaway,
        Self::Track,
        Self::Session,
    ];

    const fn code(self) -> u64 {
        match self {
            Self::Announce => 0x1,
            Self::Subscribe => 0x2,
            Self::Fetch => 0x3,
            Self::Probe => 0x4,
            Self::Goaway => 0x5,
            Self::Track => 0x6,
            Self::Session => 0x20,
        }
    }

    const fn exists(self, version: Version) -> bool {
        match self {
            Self::Announce | Self::Subscribe => true,
            Self::Fetch => version.has_fetch(),
            Self::Probe => version.has_probe(),
            Self::Goaway => version.has_goaway(),
            Self::Track => version.has_track_stream(),
            Self::Session => version.has_session_stream(),
        }
    }
}

impl Encode<Version> for ControlType {
    fn encode(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        match self.exists(version) {
            true => self.code().encode(buf, version),
            false => Err(EncodeError::Version(version.name())),
        }
    }
}

/// A type that is unknown, or not of this version, is [`DecodeError::Stream`]: it ends that stream and nothing else.
impl Decode<Version> for ControlType {
    fn decode(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        let code = u64::decode(buf, version)?;
        Self::ALL
            .into_iter()
            .find(|kind| kind.code() == code && kind.exists(version))
            .ok_or(DecodeError::Stream(code))
    }
}

/// The purpose of a unidirectional stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// The publisher sends a group (all versions).
    Group,
    /// Either side sends its SETUP, once (05 and later, not 05-wip).
    Setup,
}

impl DataType {
    const fn code(self) -> u64 {
        match self {
            Self::Group => 0x0,
            Self::Setup => 0x1,
        }
    }

    const fn exists(self, version: Version) -> bool {
        match self {
            Self::Group => true,
            Self::Setup => version.has_setup_stream(),
        }
    }
}

impl Encode<Version> for DataType {
    fn encode(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        match self.exists(version) {
            true => self.code().encode(buf, version),
            false => Err(EncodeError::Version(version.name())),
        }
    }
}

/// As for [`ControlType`].
impl Decode<Version> for DataType {
    fn decode(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        let code = u64::decode(buf, version)?;
        [Self::Group, Self::Setup]
            .into_iter()
            .find(|kind| kind.code() == code && kind.exists(version))
            .ok_or(DecodeError::Stream(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lite::check::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// The types of each version, 01 first.
    fn control(version: Version) -> &'static [u64] {
        match version {
            Version::Lite01 | Version::Lite02 => &[1, 2, 0x20],
            Version::Lite03 => &[1, 2, 4],
            Version::Lite04 => &[1, 2, 4, 5],
            Version::Lite05Wip => &[1, 2, 3, 4, 5],
            Version::Lite05 | Version::Lite06 | Version::Lite07Wip => &[1, 2, 3, 4, 5, 6],
        }
    }

    #[test]
    fn each_version_has_its_stream_types_and_no_other() {
        for version in Version::ALL {
            for code in 0..0x30_u8 {
                let decoded = ControlType::decode(&mut &[code][..], version);
                match control(version).contains(&code.into()) {
                    true => assert_eq!(bytes(&decoded.unwrap(), version), [code]),
                    false => assert_eq!(decoded, Err(DecodeError::Stream(code.into()))),
                }
                let data = DataType::decode(&mut &[code][..], version);
                match code == 0 || code == 1 && version.has_setup_stream() {
                    true => assert_eq!(bytes(&data.unwrap(), version), [code]),
                    false => assert_eq!(data, Err(DecodeError::Stream(code.into()))),
                }
            }
        }
    }

    #[test]
    fn an_unknown_stream_is_no_fault_of_the_session() {
        let error = crate::Error::from(DecodeError::Stream(9));
        assert_eq!(error, crate::Error::UnexpectedStream);
        assert!(
            Version::ALL
                .iter()
                .all(|version| !version.ends_session(&error))
        );
    }
}
