//! A group of one frame in one QUIC datagram (05 and later, not 05-wip).

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    Version,
    coding::{Decode, DecodeError, Encode, EncodeError},
};

/// The whole body of a datagram: no length, the payload is what is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// The id that the subscriber gave its SUBSCRIBE.
    pub subscribe: u64,
    /// The sequence of the group that this is.
    pub sequence: u64,
    /// When it is presented, in units of the track's timescale; never a difference.
    pub timestamp: u64,
    /// The only frame of the group.
    pub payload: Bytes,
}

impl Datagram {
    /// Writes the whole body.
    ///
    /// # Errors
    /// [`EncodeError::Version`] where there are no datagrams, or numbers beyond what the wire can carry.
    pub fn encode(&self, version: Version) -> Result<Bytes, EncodeError> {
        if !version.has_datagrams() {
            return Err(EncodeError::Version(version.name()));
        }
        // Three integers take at most nine bytes each.
        let mut buf = BytesMut::with_capacity(27 + self.payload.len());
        self.subscribe.encode(&mut buf, version)?;
        self.sequence.encode(&mut buf, version)?;
        self.timestamp.encode(&mut buf, version)?;
        buf.put_slice(&self.payload);
        Ok(buf.freeze())
    }

    /// Reads the whole body; the payload is a slice of it. Whatever is wrong, the datagram is dropped and nothing else happens.
    ///
    /// # Errors
    /// [`DecodeError::Version`] where there are no datagrams, or what is wrong with the numbers.
    pub fn decode(mut bytes: Bytes, version: Version) -> Result<Self, DecodeError> {
        if !version.has_datagrams() {
            return Err(DecodeError::Version(version.name()));
        }
        let mut rest = &bytes[..];
        let subscribe = u64::decode(&mut rest, version)?;
        let sequence = u64::decode(&mut rest, version)?;
        let timestamp = u64::decode(&mut rest, version)?;
        let header = bytes.len() - rest.len();
        Ok(Self {
            subscribe,
            sequence,
            timestamp,
            payload: bytes.split_off(header),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lite::check::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn datagram(payload: &'static [u8]) -> Datagram {
        Datagram {
            subscribe: 0,
            sequence: 2,
            timestamp: 200,
            payload: Bytes::from_static(payload),
        }
    }

    #[test]
    fn a_datagram_has_its_bytes() {
        for (version, text) in [
            // subscribe, sequence, timestamp 200, "dg"
            (Version::Lite05, "00 02 40c8 6467"),
            (Version::Lite06, "00 02 40c8 6467"),
            (Version::Lite07Wip, "00 02 80c8 6467"),
        ] {
            let bytes = Bytes::from(hex(text));
            assert_eq!(datagram(b"dg").encode(version), Ok(bytes.clone()));
            let decoded = Datagram::decode(bytes.clone(), version).unwrap();
            assert_eq!(decoded, datagram(b"dg"));
            assert_eq!(decoded.payload.as_ptr(), bytes[4..].as_ptr(), "copied");
            assert_eq!(
                Datagram::decode(bytes.slice(..3), version),
                Err(DecodeError::Short(1))
            );
        }
    }

    #[test]
    fn an_empty_payload_is_a_frame_of_no_bytes() {
        let bytes = datagram(b"").encode(Version::Lite05).unwrap();
        assert_eq!(Datagram::decode(bytes, Version::Lite05), Ok(datagram(b"")));
    }

    #[test]
    fn other_versions_have_no_datagrams() {
        for version in Version::ALL
            .into_iter()
            .filter(|version| !version.has_datagrams())
        {
            assert_eq!(
                datagram(b"dg").encode(version),
                Err(EncodeError::Version(version.name()))
            );
            let result = Datagram::decode(Bytes::from_static(b"\0\0\0dg"), version);
            assert_eq!(result, Err(DecodeError::Version(version.name())));
        }
    }
}
