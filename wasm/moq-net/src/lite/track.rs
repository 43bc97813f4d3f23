//! The track stream: a question for the properties of a track, and the answer (05 and later, not 05-wip).

use std::time::Duration;

use bytes::BytesMut;

use crate::{
    PathOwned, Timescale, Version,
    coding::{Decode, DecodeError, Encode, EncodeError, Message},
};

/// TRACK: the subscriber asks for the properties of a track, first and only on its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackQuery {
    /// The broadcast, relative to the root of the session.
    pub broadcast: PathOwned,
    /// The track; may be empty.
    pub track: String,
}

impl Message for TrackQuery {
    type Version = Version;

    fn encode_body(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        if !version.has_track_stream() {
            return Err(EncodeError::Version(version.name()));
        }
        self.broadcast.encode(buf, version)?;
        self.track.encode(buf, version)
    }

    fn decode_body(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        if !version.has_track_stream() {
            return Err(DecodeError::Version(version.name()));
        }
        Ok(Self {
            broadcast: PathOwned::decode(buf, version)?,
            track: String::decode(buf, version)?,
        })
    }
}

/// TRACK_INFO: the properties of a track, which never change. The publisher answers with it and a FIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackInfo {
    /// Breaks ties between tracks; 127 is ordinary.
    pub priority: u8,
    /// How long the publisher keeps old groups, whole milliseconds.
    pub cache: Duration,
    /// Units of its timestamps. The wire has no untimed tracks here.
    pub timescale: Timescale,
}

impl Message for TrackInfo {
    type Version = Version;

    fn encode_body(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        if !version.has_track_stream() {
            return Err(EncodeError::Version(version.name()));
        }
        self.priority.encode(buf, version)?;
        if version.has_ordered() {
            // Retired, and JS peers insist on 0 or 1.
            false.encode(buf, version)?;
        }
        self.cache.encode(buf, version)?;
        self.timescale.get().encode(buf, version)
    }

    fn decode_body(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        if !version.has_track_stream() {
            return Err(DecodeError::Version(version.name()));
        }
        let priority = u8::decode(buf, version)?;
        if version.has_ordered() {
            u8::decode(buf, version)?;
        }
        Ok(Self {
            priority,
            cache: Duration::decode(buf, version)?,
            timescale: Timescale::new(u64::decode(buf, version)?).ok_or(DecodeError::Value)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lite::check::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const VERSIONS: [Version; 3] = [Version::Lite05, Version::Lite06, Version::Lite07Wip];

    fn query(track: &str) -> TrackQuery {
        TrackQuery {
            broadcast: path("room"),
            track: track.into(),
        }
    }

    const INFO: TrackInfo = TrackInfo {
        priority: 127,
        cache: Duration::from_secs(5),
        timescale: Timescale::MILLI,
    };

    #[test]
    fn track_has_its_bytes() {
        for version in VERSIONS {
            // length, "room", "v"
            vector(query("v"), version, "07 04726f6f6d 0176");
            vector(query("nope"), version, "0a 04726f6f6d 04 6e6f7065");
            round(query(""), version);
        }
    }

    #[test]
    fn info_has_its_bytes() {
        // length, priority 127, ordered, max age 5000, timescale 1000
        vector(INFO, Version::Lite05, "06 7f 00 5388 43e8");
        // length, priority 127, max age 5000, timescale 1000
        vector(INFO, Version::Lite06, "05 7f 5388 43e8");
        vector(INFO, Version::Lite07Wip, "05 7f 9388 83e8");
    }

    #[test]
    fn an_untimed_track_is_refused() {
        assert_eq!(
            parse::<TrackInfo>("04 7f 5388 00", Version::Lite06),
            Err(DecodeError::Value)
        );
    }

    #[test]
    fn the_order_byte_of_05_is_tolerated() {
        assert_eq!(parse("06 7f 09 5388 43e8", Version::Lite05), Ok(INFO));
    }

    #[test]
    fn a_trailing_byte_is_refused() {
        let result = parse::<TrackInfo>("06 7f 5388 43e8 00", Version::Lite06);
        assert_eq!(result, Err(DecodeError::Length));
    }

    #[test]
    fn other_versions_have_no_track_stream() {
        for version in Version::ALL
            .into_iter()
            .filter(|version| !VERSIONS.contains(version))
        {
            assert_eq!(
                unspeakable(&query("v"), version),
                EncodeError::Version(version.name())
            );
            assert_eq!(
                unspeakable(&INFO, version),
                EncodeError::Version(version.name())
            );
            let query = parse::<TrackQuery>("07 04726f6f6d 0176", version);
            assert_eq!(query, Err(DecodeError::Version(version.name())));
            let info = parse::<TrackInfo>("06 7f 00 5388 43e8", version);
            assert_eq!(info, Err(DecodeError::Version(version.name())));
        }
    }
}
