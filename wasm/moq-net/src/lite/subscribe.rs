//! The subscribe stream: a request, later changes to it, and the answers.

use std::time::Duration;

use bytes::BytesMut;

use crate::{
    PathOwned, Version,
    coding::{Decode, DecodeError, Encode, EncodeError, Message},
};

/// What a subscriber wants of a track: part of SUBSCRIBE, and all of SUBSCRIBE_UPDATE.
///
/// Versions differ in what they can say. What one cannot is left out and reads as the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preferences {
    /// Higher goes first.
    pub priority: u8,
    /// Retired; written as given, never obeyed (03 to 05).
    pub ordered: bool,
    /// How old a group may be and still be wanted, whole milliseconds (03 and later). Where it cannot be said there is no
    /// limit: [`Self::UNLIMITED`].
    pub max_latency: Duration,
    /// The first group wanted. `None`: the latest (03 to 05), or no floor (06 and later, where 0 says the same).
    pub group_start: Option<u64>,
    /// The last group wanted, inclusive (03 and later).
    pub group_end: Option<u64>,
    /// The first frame wanted of the first group (06 and later).
    pub frame_start: u64,
    /// The last frame wanted of the last group, inclusive; needs `group_end` (06 and later).
    pub frame_end: Option<u64>,
}

impl Preferences {
    /// The latency budget of a subscriber that has none.
    pub const UNLIMITED: Duration = Duration::MAX;

    /// Whether the bounds name at least one frame; the wire has no word for an empty range.
    fn is_possible(&self) -> bool {
        let Some(end) = self.group_end else {
            return self.frame_end.is_none();
        };
        let start = self.group_start.unwrap_or(0);
        start < end || start == end && self.frame_end.is_none_or(|frame| self.frame_start <= frame)
    }

    fn encode_tail(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        if !self.is_possible() {
            return Err(EncodeError::Value);
        }
        self.priority.encode(buf, version)?;
        if !version.has_update() {
            return Ok(());
        }
        if version.has_ordered() {
            self.ordered.encode(buf, version)?;
        }
        self.max_latency.encode(buf, version)?;
        match version.has_frame_bounds() {
            true => self.group_start.unwrap_or(0).encode(buf, version)?,
            false => self.group_start.encode(buf, version)?,
        }
        self.group_end.encode(buf, version)?;
        if version.has_frame_bounds() {
            self.frame_start.encode(buf, version)?;
            self.frame_end.encode(buf, version)?;
        }
        Ok(())
    }

    fn decode_tail(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        let mut this = Self {
            priority: u8::decode(buf, version)?,
            ..Self::default()
        };
        if !version.has_update() {
            this.max_latency = Self::UNLIMITED;
            return Ok(this);
        }
        if version.has_ordered() {
            // Rust peers write what they like here, and nothing depends on it.
            this.ordered = u8::decode(buf, version)? != 0;
        }
        this.max_latency = Duration::decode(buf, version)?;
        this.group_start = match version.has_frame_bounds() {
            true => Some(u64::decode(buf, version)?).filter(|start| *start != 0),
            false => Option::decode(buf, version)?,
        };
        this.group_end = Option::decode(buf, version)?;
        if version.has_frame_bounds() {
            this.frame_start = u64::decode(buf, version)?;
            this.frame_end = Option::decode(buf, version)?;
            // No floor, unless it is one inside of the very first group.
            if this.frame_start != 0 {
                this.group_start = this.group_start.or(Some(0));
            }
        }
        match this.is_possible() {
            true => Ok(this),
            false => Err(DecodeError::Value),
        }
    }
}

impl Default for Preferences {
    /// Lowest priority, no patience, no bounds.
    fn default() -> Self {
        Self {
            priority: 0,
            ordered: false,
            max_latency: Duration::ZERO,
            group_start: None,
            group_end: None,
            frame_start: 0,
            frame_end: None,
        }
    }
}

/// SUBSCRIBE: asks for a track, first on its stream (all versions).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// Chosen by the subscriber, never reused in the session; group streams name it.
    pub id: u64,
    /// The broadcast, relative to the root of the session.
    pub broadcast: PathOwned,
    /// The track; may be empty.
    pub track: String,
    /// What is wanted of it.
    pub preferences: Preferences,
}

impl Message for Subscribe {
    type Version = Version;

    fn encode_body(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        self.id.encode(buf, version)?;
        self.broadcast.encode(buf, version)?;
        self.track.encode(buf, version)?;
        self.preferences.encode_tail(buf, version)
    }

    fn decode_body(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        Ok(Self {
            id: u64::decode(buf, version)?,
            broadcast: PathOwned::decode(buf, version)?,
            track: String::decode(buf, version)?,
            preferences: Preferences::decode_tail(buf, version)?,
        })
    }
}

/// SUBSCRIBE_UPDATE: replaces all preferences of a subscription, any number of times (03 and later).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeUpdate {
    /// What is wanted from now on.
    pub preferences: Preferences,
}

impl Message for SubscribeUpdate {
    type Version = Version;

    fn encode_body(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        match version.has_update() {
            true => self.preferences.encode_tail(buf, version),
            false => Err(EncodeError::Version(version.name())),
        }
    }

    fn decode_body(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        match version.has_update() {
            true => Preferences::decode_tail(buf, version).map(|preferences| Self { preferences }),
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

    fn subscribe(preferences: Preferences) -> Subscribe {
        Subscribe {
            id: 0,
            broadcast: path("room"),
            track: "v".into(),
            preferences,
        }
    }

    fn half_a_second() -> Preferences {
        Preferences {
            priority: 5,
            max_latency: Duration::from_millis(500),
            ..Preferences::default()
        }
    }

    #[test]
    fn subscribe_has_its_bytes_in_every_version() {
        for version in [Version::Lite01, Version::Lite02] {
            let value = subscribe(Preferences {
                max_latency: Preferences::UNLIMITED,
                ..half_a_second()
            });
            // length, id, "room", "v", priority
            vector(value, version, "09 00 04726f6f6d 0176 05");
        }
        for version in [
            Version::Lite03,
            Version::Lite04,
            Version::Lite05Wip,
            Version::Lite05,
        ] {
            // length, id, "room", "v", priority, ordered, max age 500, start latest, end none
            let text = "0e 00 04726f6f6d 0176 05 00 41f4 00 00";
            vector(subscribe(half_a_second()), version, text);
        }
        // length, id, "room", "v", priority, max age 500, no floor, end none, frame start, frame end none
        let text = "0f 00 04726f6f6d 0176 05 41f4 00 00 00 00";
        vector(subscribe(half_a_second()), Version::Lite06, text);
        let text = "0f 00 04726f6f6d 0176 05 81f4 00 00 00 00";
        vector(subscribe(half_a_second()), Version::Lite07Wip, text);
    }

    #[test]
    fn bounds_of_06_are_a_raw_start_and_an_end_plus_one() {
        let value = Subscribe {
            broadcast: path("a/b"),
            preferences: Preferences {
                max_latency: Duration::from_secs(5),
                group_start: Some(1),
                group_end: Some(2),
                ..half_a_second()
            },
            ..subscribe(Preferences::default())
        };
        // length, id, "a/b", "v", priority, max age 5000, start 1, end 2 + 1, frames 0, none
        vector(
            value,
            Version::Lite06,
            "0e 00 03612f62 0176 05 5388 01 03 00 00",
        );
    }

    fn update(preferences: Preferences) -> SubscribeUpdate {
        SubscribeUpdate { preferences }
    }

    #[test]
    fn update_has_its_bytes_in_every_version() {
        let nine = update(Preferences {
            priority: 9,
            max_latency: Duration::from_secs(5),
            group_start: Some(1),
            ..Preferences::default()
        });
        // length, priority, ordered, max age 5000, start 1 + 1, end none
        vector(nine.clone(), Version::Lite03, "06 09 00 5388 02 00");
        // length, priority, max age 5000, start 1, end none, frame start 0, frame end none
        vector(nine, Version::Lite06, "07 09 5388 01 00 00 00");

        let bounded = update(Preferences {
            priority: 1,
            group_start: Some(7),
            group_end: Some(9),
            ..Preferences::default()
        });
        for version in [
            Version::Lite03,
            Version::Lite04,
            Version::Lite05Wip,
            Version::Lite05,
        ] {
            // length, priority, ordered, max age 0, start 7 + 1, end 9 + 1
            vector(bounded.clone(), version, "05 01 00 00 08 0a");
        }
        let frames = update(Preferences {
            frame_start: 4,
            frame_end: Some(2),
            ..bounded.preferences
        });
        // length, priority, max age 0, start 7, end 9 + 1, frame start 4, frame end 2 + 1
        vector(frames, Version::Lite06, "06 01 00 07 0a 04 03");

        let wip = update(Preferences {
            max_latency: Duration::from_millis(500),
            group_end: Some(7),
            ..Preferences::default()
        });
        // length, priority, ordered, max age 500, start none, end 7 + 1
        vector(wip, Version::Lite05Wip, "06 00 00 41f4 00 08");
    }

    #[test]
    fn there_is_no_update_before_03() {
        for version in [Version::Lite01, Version::Lite02] {
            let value = update(half_a_second());
            assert_eq!(
                unspeakable(&value, version),
                EncodeError::Version(version.name())
            );
            assert_eq!(
                parse::<SubscribeUpdate>("01 05", version),
                Err(DecodeError::Version(version.name()))
            );
        }
    }

    #[test]
    fn everything_a_version_can_say_survives() {
        for version in Version::ALL {
            let mut value = subscribe(Preferences {
                priority: 255,
                max_latency: Preferences::UNLIMITED,
                ..Preferences::default()
            });
            value.id = 1 << 40;
            if version.has_update() {
                value.preferences.ordered = version.has_ordered();
                value.preferences.max_latency = Duration::from_millis((1 << 53) - 1);
                value.preferences.group_start = Some(3);
                value.preferences.group_end = Some(3);
            }
            if version.has_frame_bounds() {
                value.preferences.frame_start = 6;
                value.preferences.frame_end = Some(6);
            }
            round(value, version);
        }
    }

    #[test]
    fn impossible_bounds_are_refused_both_ways() {
        let base = half_a_second();
        let impossible = [
            Preferences {
                group_start: Some(3),
                group_end: Some(2),
                ..base.clone()
            },
            Preferences {
                frame_end: Some(2),
                ..base.clone()
            },
            Preferences {
                group_start: Some(3),
                group_end: Some(3),
                frame_start: 2,
                frame_end: Some(1),
                ..base
            },
        ];
        for preferences in impossible {
            assert_eq!(
                unspeakable(&update(preferences), Version::Lite06),
                EncodeError::Value
            );
        }
        for (version, text) in [
            // end before start
            (Version::Lite03, "05 01 00 00 04 03"),
            (Version::Lite06, "06 01 00 03 03 00 00"),
            // frame end without group end
            (Version::Lite06, "06 01 00 03 00 00 02"),
            // frames of one group the wrong way round
            (Version::Lite06, "06 01 00 03 04 02 02"),
        ] {
            assert_eq!(
                parse::<SubscribeUpdate>(text, version),
                Err(DecodeError::Value),
                "{text}"
            );
        }
    }

    #[test]
    fn the_order_byte_is_tolerated_whatever_it_is() {
        let update: SubscribeUpdate = parse("05 01 09 00 00 00", Version::Lite05).unwrap();
        assert!(update.preferences.ordered);
    }

    #[test]
    fn a_body_that_disagrees_with_its_length_is_refused() {
        for version in Version::ALL {
            for text in ["02 00 09", "0a 00 04726f6f6d 0176 05 ff"] {
                let result = parse::<Subscribe>(text, version);
                // The second is whole on 01 and 02 but for one byte too many, and too short on the others.
                assert_eq!(result, Err(DecodeError::Length), "{text} on {version}");
            }
        }
    }
}
