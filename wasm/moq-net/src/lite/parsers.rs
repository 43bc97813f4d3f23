//! Every parser of what a peer sends, in one list.

use std::fmt::Debug;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::{
    Version,
    coding::{Decode, Encode},
};

/// Tries one parser on bytes from anywhere. It must come back, whatever they are.
///
/// # Panics
/// When what it made of them does not survive being sent: that is our own bug.
pub type Parser = fn(&[u8], Version);

/// The parsers by name: what fuzz targets and the tests run through. A new message gets its line here.
pub const PARSERS: &[(&str, Parser)] = &[
    ("announce", parse::<Announce>),
    ("announce init", parse::<AnnounceInit>),
    ("announce ok", parse::<AnnounceOk>),
    ("announce request", parse::<AnnounceRequest>),
    ("announce stream", announce_stream),
    ("client setup", parse::<ClientSetup>),
    ("control type", parse::<ControlType>),
    ("data type", parse::<DataType>),
    ("datagram", datagram),
    ("fetch", parse::<Fetch>),
    ("fetch ok", parse::<FetchOk>),
    ("frame", parse::<frame::Timed>),
    ("goaway", parse::<Goaway>),
    ("group", parse::<GroupHeader>),
    ("probe", parse::<Probe>),
    ("server setup", parse::<ServerSetup>),
    ("session info", parse::<SessionInfo>),
    ("setup", parse::<Setup>),
    ("subscribe", parse::<Subscribe>),
    ("subscribe reply", parse::<SubscribeReply>),
    ("subscribe update", parse::<SubscribeUpdate>),
    ("track info", parse::<TrackInfo>),
    ("track query", parse::<TrackQuery>),
];

fn parse<T: Decode + Encode + PartialEq + Debug>(bytes: &[u8], version: Version) {
    let mut rest = bytes;
    let Ok(value) = T::decode(&mut rest, version) else {
        return;
    };
    let mut buf = BytesMut::new();
    // Some of what is read is never sent, such as a chain that is too long.
    if value.encode(&mut buf, version).is_ok() {
        let mut rest = &buf[..];
        assert_eq!(T::decode(&mut rest, version), Ok(value));
        assert!(rest.is_empty());
    }
}

/// A whole announce stream, with all it remembers.
fn announce_stream(mut bytes: &[u8], version: Version) {
    let mut decoder = AnnounceDecoder::new(version);
    let mut encoder = AnnounceEncoder::new(version);
    while let Ok(message) = Announce::decode(&mut bytes, version) {
        let Ok(event) = decoder.decode(message) else {
            return;
        };
        let messages = event.into_iter().flat_map(|event| encoder.encode(event));
        for message in messages {
            let sent = message.encode(&mut BytesMut::new(), version);
            assert!(sent.is_ok(), "{message:?} cannot be passed on: {sent:?}");
        }
    }
}

fn datagram(bytes: &[u8], version: Version) {
    if let Ok(datagram) = Datagram::decode(Bytes::copy_from_slice(bytes), version) {
        let bytes = datagram.encode(version).expect("what was read can be sent");
        assert_eq!(Datagram::decode(bytes, version), Ok(datagram));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PathOwned;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Xorshift: the same bytes in every run.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        /// Bytes that look like messages more often than noise does: small numbers, edges, and lengths that are right.
        fn bytes(&mut self, version: Version) -> Vec<u8> {
            let mut body: Vec<u8> = (0..self.next() % 40)
                .map(|_| match self.next() % 8 {
                    0..=4 => (self.next() % 10) as u8,
                    5 => {
                        [0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xfe, 0xff, b'/'][(self.next() % 8) as usize]
                    }
                    _ => self.next() as u8,
                })
                .collect();
            let length = body.len() as u8;
            match self.next() % 4 {
                0 => {}
                1 => body.insert(0, length),
                2 => drop(body.splice(0..0, [(self.next() % 4) as u8, length])),
                _ => {
                    // The handshake's own framing.
                    let kind = 0x20 + (self.next() % 2) as u8;
                    let kind = match version.has_leading_ones() {
                        true => 0,
                        false => kind,
                    };
                    body.splice(0..0, [kind, 0, length]);
                }
            }
            body
        }
    }

    #[test]
    fn no_bytes_make_a_parser_panic() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for version in Version::ALL {
            for _ in 0..3000 {
                let bytes = random.bytes(version);
                for (_, parser) in PARSERS {
                    parser(&bytes, version);
                }
            }
        }
    }

    /// An announcement that says something, more often than not about one that was made before.
    fn announcement(random: &mut Random, version: Version) -> Announce {
        let mut below = |limit: u64| random.next() % limit;
        let mut reference = || match version.has_announce_compression() {
            true => (below(7).saturating_sub(4), below(3)),
            false => (0, 0),
        };
        let (path_reference, hop_reference) = (reference(), reference());
        let (base, keep) = path_reference;
        let suffix = Suffix {
            base,
            keep,
            rest: PathOwned::parse_owned(["", "a", "b", "a/b", "c/a"][below(5) as usize]).unwrap(),
        };
        let (base, keep) = hop_reference;
        let hops = Chain {
            base,
            ids: Some((0..below(4)).map(|_| below(9)).collect()),
            keep,
        };
        let cost = Cost {
            warm: below(9),
            cold: below(9),
        };
        let id = below(5);
        match (below(6), version.has_announce_ids()) {
            (0..=2, _) => Announce::Active { suffix, hops, cost },
            (_, false) => Announce::Ended {
                suffix: suffix.rest,
            },
            (3..=4, true) => Announce::Update { id, hops, cost },
            (_, true) => Announce::End { id },
        }
    }

    #[test]
    fn any_stream_of_announcements_is_told_in_order() {
        let mut random = Random(42);
        for version in Version::ALL {
            let (mut starts, mut restarts, mut ends) = (0, 0, 0);
            for _ in 0..2000 {
                let mut decoder = AnnounceDecoder::new(version);
                let mut told = std::collections::BTreeSet::new();
                for _ in 0..20 {
                    match decoder.decode(announcement(&mut random, version)) {
                        Ok(Some(AnnounceEvent::Active(route))) => {
                            assert!(told.insert(route.path), "active twice");
                            starts += 1;
                        }
                        Ok(Some(AnnounceEvent::Restart(route))) => {
                            assert!(told.contains(&route.path), "restarted before it was active");
                            restarts += 1;
                        }
                        Ok(Some(AnnounceEvent::Ended(path))) => {
                            assert!(told.remove(&path), "ended before it was active");
                            ends += 1;
                        }
                        Ok(None) => {}
                        Err(_) => break,
                    }
                }
                assert_eq!(decoder.len(), told.len());
            }
            let replaces = version.replaces_active() || version.has_announce_ids();
            assert!(
                starts > 0 && ends > 0 && (restarts > 0) == replaces,
                "{version} was not exercised"
            );
        }
    }
}
