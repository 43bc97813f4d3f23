//! Every message of every version, and the bytes that are known to be one.

use bytes::Bytes;
use moq_net::{
    Cost, Version,
    lite::{
        Announce, AnnounceInit, AnnounceOk, AnnounceRequest, ClientSetup, ControlType, DataType,
        Datagram, Fetch, FetchOk, Goaway, GroupHeader, Probe, ServerSetup, SessionInfo, Setup,
        Subscribe, SubscribeReply, SubscribeUpdate, TrackInfo, TrackQuery,
    },
};

use crate::{
    input::{Input, version_byte},
    value::{check, is_endless},
};

/// One message: whether a version has it, and what to do with bytes that may be one. True if they are.
struct Message {
    name: &'static str,
    has: fn(Version) -> bool,
    check: fn(&[u8], Version) -> bool,
    /// Bytes that are one on some version or another.
    examples: &'static [&'static str],
}

macro_rules! message {
    ($type:ty, $has:expr, $unfaithful:expr, $($example:literal)*) => {
        Message {
            name: stringify!($type),
            has: $has,
            check: |bytes, version| check::<$type>(bytes, version, $unfaithful).is_some(),
            examples: &[$($example),*],
        }
    };
}

const MESSAGES: &[Message] = &[
    message!(AnnounceRequest, |_| true, |_| false,
        "01 00" "02 00 02" "02 00 01" "06 04726f6f6d 02" "05 04726f6f6d"),
    message!(AnnounceInit, Version::has_announce_init, |_| false,
        "06 01 04726f6f6d" "01 00"),
    message!(AnnounceOk, Version::has_announce_ok, |_| false,
        "02 01 01" "02 00 01" "02 01 00"),
    message!(Announce, |_| true, |message| match message {
        Announce::Unknown => true,
        Announce::Active { hops, cost, .. } | Announce::Update { hops, cost, .. } =>
            hops.ids.is_none() || is_dear(*cost),
        Announce::Ended { .. } | Announce::End { .. } => false,
    },
        "07 01 04726f6f6d 01" "08 01 04726f6f6d 01 01" "07 00 04726f6f6d 00" "07 01 04726f6f6d 00" "07 02 04726f6f6d 00"
        "06 01 04726f6f6d" "06 00 04726f6f6d" "00 08 04726f6f6d 00 00 00" "01 01 00" "02 05 00 01 09 03 07" "09 02 0000"
        "00 0c 00 00 04726f6f6d 00 00 00 00 00" "00 0c 01 02 04 63616d32 01 00 01 00 00" "02 07 00 00 01 09 00 03 07"),
    message!(Subscribe, |_| true, |message| is_endless(message.preferences.max_latency),
        "09 00 04726f6f6d 0176 05" "0e 00 04726f6f6d 0176 05 00 41f4 00 00" "0f 00 04726f6f6d 0176 05 41f4 00 00 00 00"
        "0e 00 03612f62 0176 05 5388 01 03 00 00" "0f 00 04726f6f6d 0176 05 81f4 00 00 00 00"),
    message!(SubscribeUpdate, Version::has_update, |message| is_endless(message.preferences.max_latency),
        "06 09 00 5388 02 00" "07 09 5388 01 00 00 00" "05 01 00 00 08 0a" "06 01 00 07 0a 04 03" "06 00 00 41f4 00 08"),
    message!(SubscribeReply, |_| true, |message| match message {
        SubscribeReply::Ok(ok) => is_endless(ok.max_latency)
            || ok.properties.is_some_and(|properties| is_endless(properties.cache)),
        _ => false,
    },
        "00" "01 05" "00 05 05 00 00 00 00" "00 06 05 00 41f4 00 00" "00 01 01" "01 01 03" "01 02 03 02"
        "01 03 01 03 00" "02 03 01 03 00" "00 0a 05 00 00 00 00 43e8 5388 00" "00 0c 05 00 00 00 00 800f4240 5388 01"),
    message!(TrackQuery, Version::has_track_stream, |_| false,
        "07 04726f6f6d 0176" "0a 04726f6f6d 04 6e6f7065"),
    message!(TrackInfo, Version::has_track_stream, |message| is_endless(message.cache),
        "06 7f 00 5388 43e8" "05 7f 5388 43e8" "05 7f 9388 83e8"),
    message!(GroupHeader, |_| true, |_| false,
        "02 00 01" "03 00 01 00" "03 00 00 02"),
    message!(Fetch, |version| version.has_update(), |_| false,
        "09 04726f6f6d 0176 03 00" "0a 04726f6f6d 0176 00 404d" "0a 04726f6f6d 0176 03 00 01" "0a 03612f62 0176 03 00 01 00"
        "0b 04726f6f6d 0176 03 00 01 02"),
    message!(FetchOk, Version::has_fetch_ok, |_| false,
        "04 00 43e8 00" "06 07 800f4240 01" "03 07 00 00"),
    message!(Probe, Version::has_probe, |message| message.rtt.is_some_and(is_endless),
        "04 80 0f 42 40" "05 80 0f 42 40 28" "01 00" "02 00 00" "02 05 28"),
    message!(Goaway, Version::has_goaway, |_| false,
        "01 00" "0b 0a 68747470733a2f2f622f"),
    message!(
        SessionInfo,
        Version::has_session_stream,
        |_| false,
        "04 80 0f 42 40"
    ),
    message!(ControlType, |_| true, |_| false, "00" "01" "02" "03" "04" "05" "06" "20"),
    message!(DataType, |_| true, |_| false, "00" "01"),
    Message {
        name: "Datagram",
        has: Version::has_datagrams,
        check: datagram,
        examples: &["00 02 40c8 6467", "00 02 80c8 6467", "00 00 00"],
    },
];

/// What a link may cost at most: more is cut when it is written.
fn is_dear(cost: Cost) -> bool {
    cost.warm.max(cost.cold) > Cost::MAX.warm
}

/// SETUP in its three forms, on the streams that negotiate.
const SETUPS: &[Message] = &[
    message!(Setup, Version::has_setup_stream, |_| false,
        "07 02 03 01 02 05 01 02" "04 01 05 01 01" "01 00" "0b 01 02 08 2f613f6a77743d78" "05 01 04 02 4064" "04 01 04 01 64"),
    message!(ClientSetup, Version::has_session_stream, |_| false,
        "20 003a 03 c0000000ff0dad02 c0000000ff0dad01 c0000000ff00000e 04 02 c0000000ffffffff 80040b5c 01 80040b5a 01 07 0b6d6f712d6c6974652d7273"
        "20 0031 03 c0000000ff0dad02 c0000000ff0dad01 c0000000ff00000e 03 02 8000a455 80040b5a 01 07 0b6d6f712d6c6974652d6a73"),
    message!(ServerSetup, Version::has_session_stream, |_| false,
        "21 0009 c0000000ff0dad02 00" "21 0009 c0000000ff0dad01 00"),
];

/// A datagram is whole or nothing, so it has no length.
fn datagram(bytes: &[u8], version: Version) -> bool {
    let Ok(datagram) = Datagram::decode(Bytes::copy_from_slice(bytes), version) else {
        return false;
    };
    let written = datagram.encode(version).expect("it was one");
    assert_eq!(
        Datagram::decode(written, version),
        Ok(datagram),
        "{version}"
    );
    true
}

fn any(messages: &[Message], bytes: &[u8]) -> Option<(&'static str, Version)> {
    let mut input = Input::new(bytes);
    let message = &messages[input.below(messages.len())];
    let version = input.version();
    let read = (message.check)(input.rest(), version);
    read.then_some((message.name, version))
}

fn examples(messages: &[Message]) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        for version in Version::ALL {
            for example in message.examples {
                let mut seed = vec![index as u8, version_byte(version)];
                seed.extend(crate::hex(example));
                seeds.push(seed);
            }
        }
    }
    seeds
}

pub(crate) fn run(bytes: &[u8]) {
    any(MESSAGES, bytes);
}

pub(crate) fn run_setup(bytes: &[u8]) {
    any(SETUPS, bytes);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    examples(MESSAGES)
}

pub(crate) fn setup_seeds() -> Vec<Vec<u8>> {
    examples(SETUPS)
}

/// Every message on every version that has it, and whether one of its examples is read there.
#[must_use]
pub fn arms() -> Vec<(&'static str, Version, bool)> {
    let mut arms = Vec::new();
    for message in MESSAGES.iter().chain(SETUPS) {
        for version in Version::ALL {
            let reached = message
                .examples
                .iter()
                .any(|example| (message.check)(&crate::hex(example), version));
            if (message.has)(version) || reached {
                arms.push((message.name, version, reached));
            }
        }
    }
    arms
}
