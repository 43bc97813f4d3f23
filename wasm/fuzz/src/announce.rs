//! Announce streams: whatever comes, what is told of a path makes sense, and every version can pass it on.

use std::collections::{BTreeMap, BTreeSet};

use moq_net::{
    AnnounceEvent, PathOwned, Version,
    coding::Decode,
    lite::{Announce, AnnounceDecoder, AnnounceEncoder, AnnounceInit},
};

use crate::{
    input::{Input, version_byte},
    value::encoded,
};

/// What somebody was told: a path comes, changes, goes, and never out of turn.
#[derive(Default, Debug, PartialEq, Eq)]
struct Told(BTreeSet<PathOwned>);

impl Told {
    fn hear(&mut self, event: &AnnounceEvent, version: Version) {
        match event {
            AnnounceEvent::Active(route) => {
                assert!(self.0.insert(route.path.clone()), "{version}: active twice");
            }
            AnnounceEvent::Restart(route) => {
                assert!(self.0.contains(&route.path), "{version}: restarts nothing");
            }
            AnnounceEvent::Ended(path) => {
                assert!(self.0.remove(path), "{version}: ends nothing");
            }
        }
    }
}

/// A second hop of the announcements, in a version of its own.
struct Onward {
    version: Version,
    encoder: AnnounceEncoder,
    decoder: AnnounceDecoder,
    told: Told,
    routes: BTreeMap<PathOwned, Vec<u64>>,
}

impl Onward {
    fn new(version: Version) -> Self {
        Self {
            version,
            encoder: AnnounceEncoder::new(version),
            decoder: AnnounceDecoder::new(version),
            told: Told::default(),
            routes: BTreeMap::new(),
        }
    }

    fn pass(&mut self, event: &AnnounceEvent) {
        for message in self.encoder.encode(event.clone()) {
            let bytes = encoded(&message, self.version).expect("a route that was read can be said");
            let message = Announce::decode(&mut &bytes[..], self.version).expect("what we write");
            let event = self
                .decoder
                .decode(message)
                .expect("our own order is legal");
            if let Some(event) = event {
                self.told.hear(&event, self.version);
                match event {
                    AnnounceEvent::Active(route) | AnnounceEvent::Restart(route) => {
                        self.routes.insert(route.path, route.hops);
                    }
                    AnnounceEvent::Ended(path) => {
                        self.routes.remove(&path);
                    }
                }
            }
        }
    }
}

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let version = input.version();
    let mut onward = Onward::new(input.version());
    let mut decoder = AnnounceDecoder::new(version);
    let mut told = Told::default();
    let mut routes = BTreeMap::new();
    let mut messages = 0;
    let mut rest = input.rest();

    let mut hear = |event: AnnounceEvent| {
        told.hear(&event, version);
        onward.pass(&event);
        match event {
            AnnounceEvent::Active(route) | AnnounceEvent::Restart(route) => {
                routes.insert(route.path, route.hops);
            }
            AnnounceEvent::Ended(path) => {
                routes.remove(&path);
            }
        }
        assert_eq!(told, onward.told, "{version} to {}", onward.version);
        if onward.version.has_hop_ids() {
            assert_eq!(routes, onward.routes, "{version} to {}", onward.version);
        }
    };

    if version.has_announce_init() {
        let Ok(init) = AnnounceInit::decode(&mut rest, version) else {
            return;
        };
        messages += init.suffixes.len();
        let Ok(events) = decoder.init(init) else {
            return;
        };
        events.into_iter().for_each(&mut hear);
    }
    while let Ok(message) = Announce::decode(&mut rest, version) {
        messages += 1;
        match decoder.decode(message) {
            Ok(Some(event)) => hear(event),
            Ok(None) => {}
            Err(_) => break,
        }
        assert!(decoder.len() <= messages, "more is live than was said");
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let streams = [
        (
            Version::Lite01,
            "06 01 04726f6f6d  06 00 04726f6f6d  06 01 04726f6f6d",
        ),
        (Version::Lite02, "01 00  06 01 04726f6f6d"),
        (Version::Lite03, "07 01 04726f6f6d 01  07 00 04726f6f6d 00"),
        (
            Version::Lite04,
            "08 01 04726f6f6d 01 01  07 00 04726f6f6d 00",
        ),
        (
            Version::Lite05Wip,
            "07 01 04726f6f6d 00  08 01 04726f6f6d 01 09",
        ),
        (
            Version::Lite05,
            "07 01 04726f6f6d 00  08 02 04726f6f6d 01 09  07 00 04726f6f6d 00",
        ),
        (
            Version::Lite06,
            "00 08 04726f6f6d 00 00 00  02 05 00 01 09 03 07  01 01 00",
        ),
        (
            Version::Lite06,
            "09 01 00  00 08 04726f6f6d 00 00 00  00 08 04726f6f6e 00 00 00",
        ),
        (
            Version::Lite07Wip,
            "00 0c 00 00 04726f6f6d 00 00 00 00 00  00 0c 01 01 04 63616d32 01 00 00 00 00  01 01 00",
        ),
    ];
    let mut seeds = Vec::new();
    for (version, stream) in streams {
        for onward in Version::ALL {
            let mut seed = vec![version_byte(version), version_byte(onward)];
            seed.extend(crate::hex(stream));
            seeds.push(seed);
        }
    }
    seeds
}
