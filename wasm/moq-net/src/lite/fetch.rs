//! The fetch stream: a request for one group, and how the answer begins on 05-wip.

use bytes::BytesMut;

use super::Compression;
use crate::{
    PathOwned, Timescale, Version,
    coding::{Decode, DecodeError, Encode, EncodeError, Message},
};

/// FETCH: the subscriber asks for one group; the answer is its frames and a FIN (served by 05-wip and later).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The broadcast, relative to the root of the session.
    pub broadcast: PathOwned,
    /// The track; may be empty.
    pub track: String,
    /// Higher goes first.
    pub priority: u8,
    /// The sequence of the group.
    pub group: u64,
    /// The index of the first frame wanted. Not sent where the version has no word for it (05): the whole group comes,
    /// and the requester skips ([`Version::has_fetch_frame_start`]).
    pub frame_start: u64,
    /// The index of the last frame wanted, inclusive (06 and later; not sent elsewhere).
    pub frame_end: Option<u64>,
}

impl Message for Fetch {
    type Version = Version;

    fn encode_body(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        // 03 and 04 define the message and refuse it; before, there is none.
        if !version.has_update() {
            return Err(EncodeError::Version(version.name()));
        }
        if self.frame_end.is_some_and(|end| end < self.frame_start) {
            return Err(EncodeError::Value);
        }
        self.broadcast.encode(buf, version)?;
        self.track.encode(buf, version)?;
        self.priority.encode(buf, version)?;
        self.group.encode(buf, version)?;
        if version.has_fetch_frame_start() {
            self.frame_start.encode(buf, version)?;
        }
        if version.has_frame_bounds() {
            self.frame_end.encode(buf, version)?;
        }
        Ok(())
    }

    fn decode_body(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        if !version.has_update() {
            return Err(DecodeError::Version(version.name()));
        }
        let mut this = Self {
            broadcast: PathOwned::decode(buf, version)?,
            track: String::decode(buf, version)?,
            priority: u8::decode(buf, version)?,
            group: u64::decode(buf, version)?,
            frame_start: 0,
            frame_end: None,
        };
        if version.has_fetch_frame_start() {
            this.frame_start = u64::decode(buf, version)?;
        }
        if version.has_frame_bounds() {
            this.frame_end = Option::decode(buf, version)?;
        }
        match this.frame_end.is_some_and(|end| end < this.frame_start) {
            true => Err(DecodeError::Value),
            false => Ok(this),
        }
    }
}

/// FETCH_OK: how the frames that follow are to be read (05-wip). Comes once, before any frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchOk {
    /// The requested sequence again; anything else is a protocol violation.
    pub group: u64,
    /// Units of the timestamps, if the frames have any.
    pub timescale: Option<Timescale>,
    /// How the payloads are packed; need not be what the track says.
    pub compression: Compression,
}

impl Message for FetchOk {
    type Version = Version;

    fn encode_body(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        if !version.has_fetch_ok() {
            return Err(EncodeError::Version(version.name()));
        }
        self.group.encode(buf, version)?;
        self.timescale
            .map_or(0, Timescale::get)
            .encode(buf, version)?;
        self.compression.encode(buf, version)
    }

    fn decode_body(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        if !version.has_fetch_ok() {
            return Err(DecodeError::Version(version.name()));
        }
        Ok(Self {
            group: u64::decode(buf, version)?,
            timescale: Timescale::new(u64::decode(buf, version)?),
            compression: Compression::decode(buf, version)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lite::check::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn fetch(group: u64, frame_start: u64, frame_end: Option<u64>) -> Fetch {
        Fetch {
            broadcast: path("room"),
            track: "v".into(),
            priority: 3,
            group,
            frame_start,
            frame_end,
        }
    }

    #[test]
    fn fetch_has_its_bytes() {
        // length, "room", "v", priority 3, group 0
        for version in [Version::Lite03, Version::Lite04, Version::Lite05] {
            vector(fetch(0, 0, None), version, "09 04726f6f6d 0176 03 00");
        }
        // group 77
        vector(
            fetch(77, 0, None),
            Version::Lite05,
            "0a 04726f6f6d 0176 03 404d",
        );
        // length, "room", "v", priority 3, group 0, frame start 1
        vector(
            fetch(0, 1, None),
            Version::Lite05Wip,
            "0a 04726f6f6d 0176 03 00 01",
        );
        let a_b = Fetch {
            broadcast: path("a/b"),
            ..fetch(0, 1, None)
        };
        for version in [Version::Lite06, Version::Lite07Wip] {
            // length, "a/b", "v", priority 3, group 0, frame start 1, frame end none
            vector(a_b.clone(), version, "0a 03612f62 0176 03 00 01 00");
            // frame end 1 + 1
            vector(
                fetch(0, 1, Some(1)),
                version,
                "0b 04726f6f6d 0176 03 00 01 02",
            );
        }
    }

    #[test]
    fn a_frame_range_is_left_out_where_it_cannot_be_said() {
        let whole = bytes(&fetch(4, 0, None), Version::Lite05);
        assert_eq!(bytes(&fetch(4, 2, Some(3)), Version::Lite05), whole);
        let open = bytes(&fetch(4, 2, None), Version::Lite05Wip);
        assert_eq!(bytes(&fetch(4, 2, Some(3)), Version::Lite05Wip), open);
    }

    #[test]
    fn an_inverted_range_is_refused_both_ways() {
        assert_eq!(
            unspeakable(&fetch(0, 2, Some(1)), Version::Lite06),
            EncodeError::Value
        );
        let result = parse::<Fetch>("0b 04726f6f6d 0176 03 00 02 02", Version::Lite06);
        assert_eq!(result, Err(DecodeError::Value));
    }

    #[test]
    fn there_is_no_fetch_before_03() {
        for version in [Version::Lite01, Version::Lite02] {
            assert_eq!(
                unspeakable(&fetch(0, 0, None), version),
                EncodeError::Version(version.name())
            );
            let result = parse::<Fetch>("09 04726f6f6d 0176 03 00", version);
            assert_eq!(result, Err(DecodeError::Version(version.name())));
        }
    }

    #[test]
    fn fetch_ok_has_its_bytes_on_05_wip_only() {
        let ok = |group, timescale, compression| FetchOk {
            group,
            timescale: Timescale::new(timescale),
            compression,
        };
        let v = Version::Lite05Wip;
        // length, group, timescale, codec
        vector(ok(0, 1000, Compression::None), v, "04 00 43e8 00");
        vector(
            ok(7, 1_000_000, Compression::Deflate),
            v,
            "06 07 800f4240 01",
        );
        vector(ok(7, 0, Compression::None), v, "03 07 00 00");
        assert_eq!(parse::<FetchOk>("03 07 00 02", v), Err(DecodeError::Value));
        for version in Version::ALL.into_iter().filter(|version| *version != v) {
            let error = unspeakable(&ok(0, 0, Compression::None), version);
            assert_eq!(error, EncodeError::Version(version.name()));
            assert_eq!(
                parse::<FetchOk>("03 07 00 00", version),
                Err(DecodeError::Version(version.name()))
            );
        }
    }
}
