//! The answers on a subscribe stream.

use std::time::Duration;

use bytes::BytesMut;

use super::Compression;
use crate::{
    Timescale, Version,
    coding::{Decode, DecodeError, Encode, EncodeError, message},
};

/// SUBSCRIBE_OK: the track is served (01 to 05-wip). Only the properties mean anything; the rest is an echo.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubscribeOk {
    /// The subscriber's priority (not on 02).
    pub priority: u8,
    /// Informational (03 and later).
    pub ordered: bool,
    /// Informational, whole milliseconds (03 and later).
    pub max_latency: Duration,
    /// Informational: the first group (03 and later).
    pub group_start: Option<u64>,
    /// Informational: the last group, inclusive (03 and later).
    pub group_end: Option<u64>,
    /// The properties of the track (05-wip, where they are always there).
    pub properties: Option<TrackProperties>,
}

/// The properties of a track as 05-wip confirms them; later versions have TRACK_INFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackProperties {
    /// Units of its timestamps, if it has any.
    pub timescale: Option<Timescale>,
    /// How long the publisher keeps old groups, whole milliseconds.
    pub cache: Duration,
    /// How its payloads are packed.
    pub compression: Compression,
}

/// An answer to SUBSCRIBE. Which ones exist depends on the version, and so does their form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscribeReply {
    /// SUBSCRIBE_OK, once and first (01 to 05-wip).
    Ok(SubscribeOk),
    /// SUBSCRIBE_START: where the subscription begins (05 and later, not 05-wip).
    Start {
        /// The first group that will come.
        group: u64,
    },
    /// SUBSCRIBE_END: where the track ends (05 and later, not 05-wip).
    End {
        /// The first sequence that will never exist; 0 when there are no groups at all.
        group: u64,
        /// How many group streams the publisher opened (07).
        streams: Option<u64>,
    },
    /// SUBSCRIBE_DROP: groups that will not come (03 to 06). No published peer sends it; all take it.
    Drop {
        /// The first of them.
        start: u64,
        /// The last of them.
        end: u64,
        /// The stream code that says why.
        code: u64,
    },
}

impl SubscribeReply {
    /// The type in front of the message, if this version has both.
    fn code(&self, version: Version) -> Option<u64> {
        match self {
            Self::Ok(_) => version.has_subscribe_ok().then_some(0),
            Self::Start { .. } => version.has_subscribe_end().then_some(0),
            Self::End { .. } => version.has_subscribe_end().then_some(1),
            Self::Drop { .. } if !version.has_subscribe_drop() => None,
            Self::Drop { .. } => Some(if version.has_subscribe_end() { 2 } else { 1 }),
        }
    }

    fn encode_body(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        match self {
            Self::Ok(ok) => ok.encode_body(buf, version),
            Self::Start { group } => group.encode(buf, version),
            Self::End { group, streams } => {
                group.encode(buf, version)?;
                match (version.has_stream_count(), streams) {
                    (true, Some(streams)) => streams.encode(buf, version),
                    (true, None) => Err(EncodeError::Value),
                    (false, _) => Ok(()),
                }
            }
            Self::Drop { start, end, .. } if end < start => Err(EncodeError::Value),
            Self::Drop { start, end, code } => {
                start.encode(buf, version)?;
                end.encode(buf, version)?;
                code.encode(buf, version)
            }
        }
    }

    fn decode_start(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        let group = u64::decode(buf, version)?;
        Ok(Self::Start { group })
    }

    fn decode_end(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        let group = u64::decode(buf, version)?;
        let streams = match version.has_stream_count() {
            true => Some(u64::decode(buf, version)?),
            false => None,
        };
        Ok(Self::End { group, streams })
    }

    fn decode_drop(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        let start = u64::decode(buf, version)?;
        let end = u64::decode(buf, version)?;
        let code = u64::decode(buf, version)?;
        match start <= end {
            true => Ok(Self::Drop { start, end, code }),
            false => Err(DecodeError::Value),
        }
    }
}

impl Encode<Version> for SubscribeReply {
    fn encode(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        let code = self
            .code(version)
            .ok_or_else(|| EncodeError::Version(version.name()))?;
        if version.has_typed_replies() {
            code.encode(buf, version)?;
        }
        message::with_length(buf, version, |body| self.encode_body(body, version))
    }
}

impl Decode<Version> for SubscribeReply {
    fn decode(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        let code = match version.has_typed_replies() {
            true => u64::decode(buf, version)?,
            false => 0,
        };
        message::exactly(buf, version, |body| match code {
            0 if version.has_subscribe_ok() => {
                SubscribeOk::decode_body(body, version).map(Self::Ok)
            }
            0 => Self::decode_start(body, version),
            1 if version.has_subscribe_end() => Self::decode_end(body, version),
            1 => Self::decode_drop(body, version),
            2 if version.has_subscribe_end() && version.has_subscribe_drop() => {
                Self::decode_drop(body, version)
            }
            unknown => Err(DecodeError::Type(unknown)),
        })
    }
}

impl SubscribeOk {
    fn encode_body(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        // 02 confirms with an empty body.
        if version == Version::Lite02 {
            return Ok(());
        }
        self.priority.encode(buf, version)?;
        if !version.has_update() {
            return Ok(());
        }
        self.ordered.encode(buf, version)?;
        self.max_latency.encode(buf, version)?;
        self.group_start.encode(buf, version)?;
        self.group_end.encode(buf, version)?;
        if !version.has_fetch_ok() {
            return Ok(());
        }
        let properties = self.properties.ok_or(EncodeError::Value)?;
        properties
            .timescale
            .map_or(0, Timescale::get)
            .encode(buf, version)?;
        properties.cache.encode(buf, version)?;
        properties.compression.encode(buf, version)
    }

    fn decode_body(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        let mut this = Self::default();
        if version == Version::Lite02 {
            return Ok(this);
        }
        // There was another 05-wip for a time, whose reply of type 0 is one number (moq-lite.md W.7).
        if version.has_fetch_ok() && buf.len() < 8 {
            return Err(DecodeError::Dialect(version.name()));
        }
        this.priority = u8::decode(buf, version)?;
        if !version.has_update() {
            return Ok(this);
        }
        this.ordered = u8::decode(buf, version)? != 0;
        this.max_latency = Duration::decode(buf, version)?;
        this.group_start = Option::decode(buf, version)?;
        this.group_end = Option::decode(buf, version)?;
        if version.has_fetch_ok() {
            this.properties = Some(TrackProperties {
                timescale: Timescale::new(u64::decode(buf, version)?),
                cache: Duration::decode(buf, version)?,
                compression: Compression::decode(buf, version)?,
            });
        }
        Ok(this)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lite::check::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn ok(priority: u8, properties: Option<TrackProperties>) -> SubscribeReply {
        SubscribeReply::Ok(SubscribeOk {
            priority,
            properties,
            ..SubscribeOk::default()
        })
    }

    fn properties(timescale: u64, compression: Compression) -> Option<TrackProperties> {
        Some(TrackProperties {
            timescale: Timescale::new(timescale),
            cache: Duration::from_secs(5),
            compression,
        })
    }

    #[test]
    fn ok_has_its_bytes_up_to_05_wip() {
        // length, priority
        vector(ok(5, None), Version::Lite01, "01 05");
        // length 0
        vector(ok(0, None), Version::Lite02, "00");
        for version in [Version::Lite03, Version::Lite04] {
            // type, length, priority, ordered, max age, start, end
            vector(ok(5, None), version, "00 05 05 00 00 00 00");
        }
        let v = Version::Lite05Wip;
        // type, length, priority, ordered, max age, start, end, timescale 1000, cache 5000, no codec
        let text = "00 0a 05 00 00 00 00 43e8 5388 00";
        vector(ok(5, properties(1000, Compression::None)), v, text);
        // untimed, cache 5000, DEFLATE
        let text = "00 09 05 00 00 00 00 00 5388 01";
        vector(ok(5, properties(0, Compression::Deflate)), v, text);
        // microseconds, cache 5000, DEFLATE
        let text = "00 0c 05 00 00 00 00 800f4240 5388 01";
        vector(ok(5, properties(1_000_000, Compression::Deflate)), v, text);
    }

    #[test]
    fn an_echoing_ok_of_03_is_understood() {
        let reply = parse("00 06 05 01 41f4 08 0a", Version::Lite04);
        let expected = SubscribeOk {
            priority: 5,
            ordered: true,
            max_latency: Duration::from_millis(500),
            group_start: Some(7),
            group_end: Some(9),
            properties: None,
        };
        assert_eq!(reply, Ok(SubscribeReply::Ok(expected)));
    }

    #[test]
    fn start_and_end_have_their_bytes_from_05_on() {
        for version in [Version::Lite05, Version::Lite06, Version::Lite07Wip] {
            vector(SubscribeReply::Start { group: 1 }, version, "00 01 01");
        }
        let end = |group, streams| SubscribeReply::End { group, streams };
        for version in [Version::Lite05, Version::Lite06] {
            // exclusive end; 0: an empty track
            vector(end(3, None), version, "01 01 03");
            vector(end(0, None), version, "01 01 00");
        }
        // exclusive end, streams opened
        vector(end(3, Some(2)), Version::Lite07Wip, "01 02 03 02");
    }

    #[test]
    fn drop_has_its_bytes_from_03_to_06() {
        let drop = SubscribeReply::Drop {
            start: 1,
            end: 3,
            code: 0,
        };
        for version in [Version::Lite03, Version::Lite04, Version::Lite05Wip] {
            vector(drop.clone(), version, "01 03 01 03 00");
        }
        for version in [Version::Lite05, Version::Lite06] {
            vector(drop.clone(), version, "02 03 01 03 00");
        }
        for version in [Version::Lite01, Version::Lite02, Version::Lite07Wip] {
            assert_eq!(
                unspeakable(&drop, version),
                EncodeError::Version(version.name())
            );
        }
    }

    #[test]
    fn replies_of_other_versions_cannot_be_sent() {
        for version in Version::ALL {
            let ok = ok(0, properties(1, Compression::None));
            let start = SubscribeReply::Start { group: 0 };
            let (never, legal) = match version.has_subscribe_ok() {
                true => (start, ok),
                false => (ok, start),
            };
            assert_eq!(
                unspeakable(&never, version),
                EncodeError::Version(version.name())
            );
            bytes(&legal, version);
        }
        let uncounted = SubscribeReply::End {
            group: 1,
            streams: None,
        };
        assert_eq!(
            unspeakable(&uncounted, Version::Lite07Wip),
            EncodeError::Value
        );
        assert_eq!(
            unspeakable(&ok(0, None), Version::Lite05Wip),
            EncodeError::Value
        );
    }

    #[test]
    fn unknown_types_and_codecs_are_refused() {
        let reply = |text, version| parse::<SubscribeReply>(text, version).unwrap_err();
        assert_eq!(reply("02 00", Version::Lite04), DecodeError::Type(2));
        assert_eq!(
            reply("02 03 01 03 00", Version::Lite07Wip),
            DecodeError::Type(2)
        );
        assert_eq!(reply("03 00", Version::Lite06), DecodeError::Type(3));
        let codec = "00 08 05 00 00 00 00 00 00 02";
        assert_eq!(reply(codec, Version::Lite05Wip), DecodeError::Value);
        assert_eq!(reply("02 03 03 01 00", Version::Lite05), DecodeError::Value);
        assert_eq!(reply("00 02 01 00", Version::Lite05), DecodeError::Length);
    }

    #[test]
    fn the_other_05_wip_is_recognised() {
        assert_eq!(
            parse::<SubscribeReply>("00 01 01", Version::Lite05Wip),
            Err(DecodeError::Dialect("moq-lite-05-wip"))
        );
    }
}
