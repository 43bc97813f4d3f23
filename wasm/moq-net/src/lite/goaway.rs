//! The goaway stream: one side will go away and may know a better address (04 and later).

use bytes::BytesMut;

use crate::{
    Version,
    coding::{Decode, DecodeError, Encode, EncodeError, Message},
};

/// GOAWAY: whoever sends it will close soon. Once per session and direction, followed by a FIN.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Goaway {
    /// Where to reconnect; empty for the same address.
    pub uri: String,
}

impl Goaway {
    /// The most bytes of the address.
    pub const MAX_URI: usize = 8192;
}

impl Message for Goaway {
    type Version = Version;

    fn encode_body(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        if !version.has_goaway() {
            return Err(EncodeError::Version(version.name()));
        }
        match self.uri.len() <= Self::MAX_URI {
            true => self.uri.encode(buf, version),
            false => Err(EncodeError::Bounds),
        }
    }

    fn decode_body(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        if !version.has_goaway() {
            return Err(DecodeError::Version(version.name()));
        }
        let uri = String::decode(buf, version)?;
        match uri.len() <= Self::MAX_URI {
            true => Ok(Self { uri }),
            false => Err(DecodeError::Bounds),
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
    fn goaway_has_its_bytes_from_04_on() {
        for version in Version::ALL
            .into_iter()
            .filter(|version| version.has_goaway())
        {
            // length, empty URI
            vector(Goaway::default(), version, "01 00");
            let uri = "https://b/".to_owned();
            vector(Goaway { uri }, version, "0b 0a 68747470733a2f2f622f");
        }
        for version in [Version::Lite01, Version::Lite02, Version::Lite03] {
            assert_eq!(
                unspeakable(&Goaway::default(), version),
                EncodeError::Version(version.name())
            );
            assert_eq!(
                parse::<Goaway>("01 00", version),
                Err(DecodeError::Version(version.name()))
            );
        }
    }

    #[test]
    fn a_longer_address_than_allowed_is_refused_both_ways() {
        let longest = Goaway {
            uri: "a".repeat(Goaway::MAX_URI),
        };
        round(longest.clone(), Version::Lite06);
        let longer = Goaway {
            uri: longest.uri + "a",
        };
        assert_eq!(unspeakable(&longer, Version::Lite06), EncodeError::Bounds);
        // length 8195, URI of 8193 bytes
        let text = format!("6003 6001 {}", "61".repeat(Goaway::MAX_URI + 1));
        assert_eq!(
            parse::<Goaway>(&text, Version::Lite06),
            Err(DecodeError::Bounds)
        );
    }
}
