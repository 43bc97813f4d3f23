//! CLIENT_SETUP and SERVER_SETUP: the handshake inside the first stream that the token `moql` stands for (01, 02).
//!
//! The form is that of moq-transport-14, whatever version comes out of it: a type, two bytes of length, QUIC integers.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    Version,
    coding::{Decode, DecodeError, Encode, EncodeError, Varint, message, value},
};

/// The integers of the handshake are QUIC's.
const FORM: Varint = Varint::Quic;

/// The most versions in an offer and the most parameters.
const MAX_ENTRIES: u64 = 64;

const CLIENT: u64 = 0x20;
const SERVER: u64 = 0x21;

/// A parameter of the handshake. Whoever ends up with moq-lite ignores them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter {
    /// The value of an even key.
    Number(u64),
    /// The value of an odd key, up to 65535 bytes.
    Bytes(Bytes),
}

/// CLIENT_SETUP: the client offers versions, first on the first bidirectional stream.
///
/// Its type, 0x20, is also the type of the stream; here it is part of the message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientSetup {
    /// The numbers of the versions, dearest first, those we do not know included.
    pub versions: Vec<u64>,
    /// By key.
    pub parameters: Vec<(u64, Parameter)>,
}

/// SERVER_SETUP: the server has chosen. The stream stays open for the life of the session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerSetup {
    /// The number of the version: one of those that were offered.
    pub version: u64,
    /// By key; none when the version is moq-lite.
    pub parameters: Vec<(u64, Parameter)>,
}

impl ClientSetup {
    /// An offer of those of the versions that are negotiated this way, dearest first.
    pub fn offer(versions: &[Version]) -> Self {
        let offered = versions
            .iter()
            .filter(|version| version.has_session_stream());
        Self {
            versions: offered.map(|version| version.code()).collect(),
            parameters: Vec::new(),
        }
    }

    /// The client's dearest version among `supported`, if there is a common one.
    pub fn choose(&self, supported: &[Version]) -> Option<Version> {
        let known = self
            .versions
            .iter()
            .filter_map(|code| Version::from_code(*code));
        known
            .into_iter()
            .find(|version| supported.contains(version))
    }
}

impl<V> Encode<V> for ClientSetup {
    fn encode(&self, buf: &mut BytesMut, _: V) -> Result<(), EncodeError> {
        framed(buf, CLIENT, |body| {
            (self.versions.len() as u64).encode(body, FORM)?;
            for version in &self.versions {
                version.encode(body, FORM)?;
            }
            encode_parameters(&self.parameters, body)
        })
    }
}

impl<V> Decode<V> for ClientSetup {
    fn decode(buf: &mut &[u8], _: V) -> Result<Self, DecodeError> {
        unframed(buf, CLIENT, |body| {
            let count = u64::decode(body, FORM)?;
            if count > MAX_ENTRIES {
                return Err(DecodeError::Bounds);
            }
            let versions = (0..count).map(|_| u64::decode(body, FORM));
            Ok(Self {
                versions: versions.collect::<Result<_, _>>()?,
                parameters: decode_parameters(body)?,
            })
        })
    }
}

impl<V> Encode<V> for ServerSetup {
    fn encode(&self, buf: &mut BytesMut, _: V) -> Result<(), EncodeError> {
        framed(buf, SERVER, |body| {
            self.version.encode(body, FORM)?;
            encode_parameters(&self.parameters, body)
        })
    }
}

impl<V> Decode<V> for ServerSetup {
    fn decode(buf: &mut &[u8], _: V) -> Result<Self, DecodeError> {
        unframed(buf, SERVER, |body| {
            Ok(Self {
                version: u64::decode(body, FORM)?,
                parameters: decode_parameters(body)?,
            })
        })
    }
}

fn framed(
    buf: &mut BytesMut,
    kind: u64,
    body: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let mut bytes = BytesMut::new();
    body(&mut bytes)?;
    kind.encode(buf, FORM)?;
    buf.put_u16(bytes.len().try_into().map_err(|_| EncodeError::Bounds)?);
    buf.put_slice(&bytes);
    Ok(())
}

fn unframed<T>(
    buf: &mut &[u8],
    kind: u64,
    body: impl FnOnce(&mut &[u8]) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let found = u64::decode(buf, FORM)?;
    if found != kind {
        return Err(DecodeError::Type(found));
    }
    let length = value::take(buf, 2)?;
    let length = u16::from_be_bytes([length[0], length[1]]);
    message::whole(value::take(buf, length.into())?, body)
}

fn encode_parameters(
    parameters: &[(u64, Parameter)],
    buf: &mut BytesMut,
) -> Result<(), EncodeError> {
    (parameters.len() as u64).encode(buf, FORM)?;
    for (key, value) in parameters {
        key.encode(buf, FORM)?;
        match (value, key % 2) {
            (Parameter::Number(number), 0) => number.encode(buf, FORM)?,
            (Parameter::Bytes(bytes), 1) => {
                (bytes.len() as u64).encode(buf, FORM)?;
                buf.put_slice(bytes);
            }
            _ => return Err(EncodeError::Value),
        }
    }
    Ok(())
}

fn decode_parameters(buf: &mut &[u8]) -> Result<Vec<(u64, Parameter)>, DecodeError> {
    let count = u64::decode(buf, FORM)?;
    if count > MAX_ENTRIES {
        return Err(DecodeError::TooManyParameters);
    }
    let mut parameters = Vec::new();
    for _ in 0..count {
        let key = u64::decode(buf, FORM)?;
        let number = u64::decode(buf, FORM)?;
        parameters.push(match key % 2 {
            0 => (key, Parameter::Number(number)),
            _ => {
                let bytes = value::take(buf, number)?;
                (key, Parameter::Bytes(Bytes::copy_from_slice(bytes)))
            }
        });
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lite::check::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const V: Version = Version::Lite02;

    fn published() -> ClientSetup {
        ClientSetup {
            versions: vec![0xff0d_ad02, 0xff0d_ad01, 0xff00_000e],
            parameters: vec![
                (0x02, Parameter::Number(0xffff_ffff)),
                (0x40b5c, Parameter::Number(1)),
                (0x40b5a, Parameter::Number(1)),
                (0x07, Parameter::Bytes(Bytes::from_static(b"moq-lite-rs"))),
            ],
        }
    }

    #[test]
    fn client_setup_has_its_bytes() {
        // type, length 58
        // 3 versions: lite-02, lite-01, moq-transport-14
        // 4 parameters: max request id 2^32 - 1, 0x40b5c = 1, 0x40b5a = 1, 7 = "moq-lite-rs"
        let text = "20 003a
            03 c0000000ff0dad02 c0000000ff0dad01 c0000000ff00000e
            04 02 c0000000ffffffff 80040b5c 01 80040b5a 01 07 0b 6d6f712d6c6974652d7273";
        vector(published(), V, text);
    }

    #[test]
    fn server_setup_has_its_bytes() {
        for version in [Version::Lite01, Version::Lite02] {
            let setup = ServerSetup {
                version: version.code(),
                parameters: Vec::new(),
            };
            let last = version.code() & 0xff;
            // type, length 9, version, no parameters
            vector(setup, V, &format!("21 0009 c0000000ff0dad{last:02x} 00"));
        }
    }

    #[test]
    fn an_offer_holds_what_is_negotiated_here_in_order() {
        let offer = ClientSetup::offer(&Version::DEFAULT);
        // type, length 18, lite-02, lite-01, no parameters
        vector(offer, V, "20 0012 02 c0000000ff0dad02 c0000000ff0dad01 00");
    }

    #[test]
    fn the_client_prefers_and_the_server_permits() {
        let offer = published();
        assert_eq!(offer.choose(&Version::DEFAULT), Some(Version::Lite02));
        assert_eq!(
            offer.choose(&[Version::Lite01, Version::Lite06]),
            Some(Version::Lite01)
        );
        assert_eq!(offer.choose(&[Version::Lite05]), None);
    }

    #[test]
    fn malformed_handshakes_are_refused() {
        let client = |text| parse::<ClientSetup>(text, V).unwrap_err();
        assert_eq!(client("21 0002 00 00"), DecodeError::Type(0x21));
        assert_eq!(client("20 0003 00 00 00"), DecodeError::Length);
        assert_eq!(client("20 0001 01"), DecodeError::Length);
        assert_eq!(client("20 0002 4041"), DecodeError::Bounds);
        assert_eq!(client("20 0003 00 4041"), DecodeError::TooManyParameters);
        assert_eq!(client("20 0005 00 01 07 05 61"), DecodeError::Length);
        let server = parse::<ServerSetup>("20 0002 00 00", V);
        assert_eq!(server, Err(DecodeError::Type(0x20)));
    }

    #[test]
    fn the_key_decides_the_form_of_the_value() {
        for wrong in [
            (2, Parameter::Bytes(Bytes::new())),
            (7, Parameter::Number(1)),
        ] {
            let setup = ServerSetup {
                version: 1,
                parameters: vec![wrong],
            };
            assert_eq!(unspeakable(&setup, V), EncodeError::Value);
        }
    }

    #[test]
    fn more_than_a_length_of_two_bytes_cannot_be_sent() {
        let large = ServerSetup {
            version: 1,
            parameters: vec![(7, Parameter::Bytes(vec![0; 65536].into()))],
        };
        assert_eq!(unspeakable(&large, V), EncodeError::Bounds);
    }
}
