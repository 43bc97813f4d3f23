//! Announcements in every version, and what streams of them mean.

use super::*;
use crate::{
    AnnounceEvent, Cost, Error, PathOwned, Route, Version,
    coding::{DecodeError, EncodeError},
    lite::check::*,
};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn route(text: &str, hops: &[u64], warm: u64, cold: u64) -> Route {
    Route {
        path: path(text),
        hops: hops.to_vec(),
        cost: Cost { warm, cold },
    }
}

/// A route without a price.
fn way(text: &str, hops: &[u64]) -> Route {
    route(text, hops, 0, Cost::MAX.cold)
}

fn active(route: Route) -> Announce {
    Announce::Active {
        suffix: Suffix::literal(route.path),
        hops: Chain::literal(route.hops),
        cost: route.cost,
    }
}

fn ended(text: &str) -> Announce {
    Announce::Ended { suffix: path(text) }
}

/// Feeds messages written as hex.
fn feed(
    decoder: &mut AnnounceDecoder,
    version: Version,
    text: &str,
) -> crate::Result<Option<AnnounceEvent>> {
    decoder.decode(parse::<Announce>(text, version)?)
}

#[test]
fn active_and_ended_have_their_bytes_up_to_05() {
    for version in [Version::Lite01, Version::Lite02] {
        // length, status, "room"
        vector(active(way("room", &[])), version, "06 01 04726f6f6d");
        vector(ended("room"), version, "06 00 04726f6f6d");
    }
    // length, status, "room", hop count
    vector(
        active(way("room", &[0])),
        Version::Lite03,
        "07 01 04726f6f6d 01",
    );
    vector(ended("room"), Version::Lite03, "07 00 04726f6f6d 00");
    // length, status, "room", hop count, the server itself
    vector(
        active(way("room", &[1])),
        Version::Lite04,
        "08 01 04726f6f6d 01 01",
    );
    for version in [Version::Lite04, Version::Lite05Wip, Version::Lite05] {
        // length, status, "room", no hops
        vector(active(way("room", &[])), version, "07 01 04726f6f6d 00");
        vector(ended("room"), version, "07 00 04726f6f6d 00");
    }
}

#[test]
fn start_update_and_end_have_their_bytes_on_06() {
    let v = Version::Lite06;
    // type, length, "room", no hops, warm, cold
    vector(
        active(route("room", &[], 0, 0)),
        v,
        "00 08 04726f6f6d 00 00 00",
    );
    // type, length, id
    vector(Announce::End { id: 0 }, v, "01 01 00");
    let update = Announce::Update {
        id: 0,
        hops: Chain::literal(vec![9]),
        cost: Cost { warm: 3, cold: 7 },
    };
    // type, length, id, 1 hop: 9, warm 3, cold 7
    vector(update, v, "02 05 00 01 09 03 07");
}

#[test]
fn references_have_their_bytes_on_07() {
    let v = Version::Lite07Wip;
    // type, length, path base, keep, "room", hop base, no hops, keep, warm, cold
    let text = "00 0c 00 00 04726f6f6d 00 00 00 00 00";
    vector(active(route("room", &[], 0, 0)), v, text);
    let short = Announce::Active {
        suffix: Suffix {
            base: 1,
            keep: 2,
            rest: path("cam2"),
        },
        hops: Chain {
            base: 1,
            ids: Some(vec![]),
            keep: 1,
        },
        cost: Cost { warm: 0, cold: 0 },
    };
    // type, length, previous START: keep 2 segments, "cam2", previous START: no hops, keep 1, warm, cold
    vector(short.clone(), v, "00 0c 01 02 04 63616d32 01 00 01 00 00");
    assert_eq!(
        unspeakable(&short, Version::Lite06),
        EncodeError::Version(Version::Lite06.name())
    );
}

#[test]
fn status_2_is_active_on_05_and_nothing_before() {
    for version in [Version::Lite05Wip, Version::Lite05] {
        let restart = parse("07 02 04726f6f6d 00", version);
        assert_eq!(restart, Ok(active(way("room", &[]))));
    }
    assert_eq!(
        parse::<Announce>("07 02 04726f6f6d 00", Version::Lite04),
        Err(DecodeError::Value)
    );
    assert_eq!(
        parse::<Announce>("07 03 04726f6f6d 00", Version::Lite05),
        Err(DecodeError::Value)
    );
}

#[test]
fn every_version_tells_of_a_path_that_comes_changes_and_goes() {
    for version in Version::ALL {
        let mut encoder = AnnounceEncoder::new(version);
        let mut decoder = AnnounceDecoder::new(version);
        let mut pass = |event: AnnounceEvent| -> Vec<AnnounceEvent> {
            let messages = encoder.encode(event).into_iter();
            let events = messages.map(|message| {
                let bytes = bytes(&message, version);
                let message = crate::coding::Decode::decode(&mut &bytes[..], version).unwrap();
                decoder.decode(message).unwrap().expect("news")
            });
            events.collect()
        };
        // What a version cannot say arrives as its default.
        let seen = |hops: &[u64], warm, cold| match version {
            Version::Lite01 | Version::Lite02 => way("a/b", &[]),
            Version::Lite03 => way("a/b", &vec![0; hops.len()]),
            Version::Lite06 | Version::Lite07Wip => route("a/b", hops, warm, cold),
            _ => way("a/b", hops),
        };
        let first = pass(AnnounceEvent::Active(route("a/b", &[4, 0, 0], 1, 2)));
        assert_eq!(
            first,
            [AnnounceEvent::Active(seen(&[4, 0, 0], 1, 2))],
            "{version}"
        );

        let second = pass(AnnounceEvent::Restart(route("a/b", &[5], 3, 4)));
        let seen = seen(&[5], 3, 4);
        let gone = AnnounceEvent::Ended(path("a/b"));
        let expected = match version.replaces_active() || version.has_announce_ids() {
            true => vec![AnnounceEvent::Restart(seen)],
            false => vec![gone.clone(), AnnounceEvent::Active(seen)],
        };
        assert_eq!(second, expected, "{version}");
        assert_eq!(pass(gone.clone()), std::slice::from_ref(&gone));
        assert_eq!(pass(gone), [], "what is gone cannot go again");
        assert!(decoder.is_empty());
    }
}

#[test]
fn the_initial_list_is_announced() {
    let mut encoder = AnnounceEncoder::new(Version::Lite01);
    let mut decoder = AnnounceDecoder::new(Version::Lite01);
    let init = encoder.init([path("room"), path("")]);
    assert!(encoder.is_live(&path("room")));
    let events = decoder.init(init.clone()).unwrap();
    assert_eq!(
        events,
        [
            AnnounceEvent::Active(way("", &[])),
            AnnounceEvent::Active(way("room", &[]))
        ]
    );
    let again = feed(&mut decoder, Version::Lite01, "06 01 04726f6f6d");
    assert_eq!(again, Err(Error::ProtocolViolation));

    let twice = AnnounceInit {
        suffixes: vec![path("a"), path("/a/")],
    };
    assert_eq!(
        AnnounceDecoder::new(Version::Lite01).init(twice),
        Err(Error::ProtocolViolation)
    );
}

#[test]
fn a_second_active_replaces_on_05_and_violates_elsewhere() {
    for version in Version::ALL {
        let mut decoder = AnnounceDecoder::new(version);
        let first = decoder.decode(active(way("a", &[])));
        assert_eq!(first, Ok(Some(AnnounceEvent::Active(way("a", &[])))));
        let second = decoder.decode(active(way("a", &[7])));
        match version {
            Version::Lite05 | Version::Lite05Wip => {
                assert_eq!(second, Ok(Some(AnnounceEvent::Restart(way("a", &[7])))));
            }
            _ => assert_eq!(second, Err(Error::ProtocolViolation), "{version}"),
        }
    }
}

#[test]
fn an_end_of_what_is_not_announced_is_ignored_by_path_and_refused_by_id() {
    let mut by_path = AnnounceDecoder::new(Version::Lite05);
    assert_eq!(by_path.decode(ended("a")), Ok(None));

    let v = Version::Lite06;
    let mut by_id = AnnounceDecoder::new(v);
    let unknown = Err(Error::Decode(DecodeError::UnknownAnnounce));
    assert_eq!(feed(&mut by_id, v, "01 01 00"), unknown);
    assert_eq!(feed(&mut by_id, v, "02 04 00 00 00 00"), unknown);
    feed(&mut by_id, v, "00 05 0161 00 00 00").unwrap();
    feed(&mut by_id, v, "01 01 00").unwrap();
    assert_eq!(feed(&mut by_id, v, "01 01 00"), unknown, "retired");
    // The same path again takes the next id.
    feed(&mut by_id, v, "00 05 0161 00 00 00").unwrap();
    assert_eq!(
        feed(&mut by_id, v, "01 01 01"),
        Ok(Some(AnnounceEvent::Ended(path("a"))))
    );
}

#[test]
fn unknown_types_are_skipped_and_take_no_id() {
    let v = Version::Lite06;
    let mut decoder = AnnounceDecoder::new(v);
    assert_eq!(feed(&mut decoder, v, "09 03 ffffff"), Ok(None));
    feed(&mut decoder, v, "00 05 0161 00 00 00").unwrap();
    assert_eq!(
        feed(&mut decoder, v, "01 01 00"),
        Ok(Some(AnnounceEvent::Ended(path("a"))))
    );
}

/// START of "a" with 33 different hops, as 04 to 06 put the chain.
fn long_chain() -> String {
    (1..=33).fold("21".to_owned(), |text, hop| format!("{text} {hop:02x}"))
}

#[test]
fn a_chain_over_32_costs_the_announcement_and_counts() {
    let v = Version::Lite06;
    let mut decoder = AnnounceDecoder::new(v);
    let text = format!("00 26 0161 {} 00 00", long_chain());
    assert_eq!(feed(&mut decoder, v, &text), Ok(None));
    assert_eq!(decoder.len(), 1);
    // The next one has id 1, and the first becomes usable by an update.
    feed(&mut decoder, v, "00 05 0162 00 00 00").unwrap();
    let update = feed(&mut decoder, v, "02 05 00 01 09 03 07");
    assert_eq!(
        update,
        Ok(Some(AnnounceEvent::Active(route("a", &[9], 3, 7))))
    );
    // And unusable again, which ends it for everybody else.
    let text = format!("02 25 00 {} 00 00", long_chain());
    assert_eq!(
        feed(&mut decoder, v, &text),
        Ok(Some(AnnounceEvent::Ended(path("a"))))
    );
    assert_eq!(feed(&mut decoder, v, "01 01 00"), Ok(None));
    let second = feed(&mut decoder, v, "01 01 01");
    assert_eq!(second, Ok(Some(AnnounceEvent::Ended(path("b")))));
}

#[test]
fn a_chain_over_32_costs_the_announcement_before_06_too() {
    for version in [Version::Lite04, Version::Lite05Wip, Version::Lite05] {
        let mut decoder = AnnounceDecoder::new(version);
        let text = format!("25 01 0161 {}", long_chain());
        assert_eq!(feed(&mut decoder, version, &text), Ok(None));
        assert_eq!(feed(&mut decoder, version, "04 00 0161 00"), Ok(None));
        assert!(decoder.is_empty());
    }
    let mut decoder = AnnounceDecoder::new(Version::Lite03);
    // 33 and 2^62 - 1 unknown hops
    assert_eq!(
        feed(&mut decoder, Version::Lite03, "04 01 0161 21"),
        Ok(None)
    );
    let text = "0b 01 0162 ffffffffffffffff";
    assert_eq!(feed(&mut decoder, Version::Lite03, text), Ok(None));
    let full = feed(&mut decoder, Version::Lite03, "04 01 0163 20");
    assert_eq!(full, Ok(Some(AnnounceEvent::Active(way("c", &[0; 32])))));
}

#[test]
fn more_hops_than_bytes_are_a_wrong_length() {
    let text = "00 09 0161 4fff 01 02 00 00 00";
    assert_eq!(
        parse::<Announce>(text, Version::Lite06),
        Err(DecodeError::Length)
    );
}

#[test]
fn a_known_hop_may_not_come_twice_an_unknown_one_may() {
    for version in [Version::Lite04, Version::Lite05Wip, Version::Lite05] {
        let twice = parse::<Announce>("06 01 0161 02 07 07", version);
        assert_eq!(twice, Err(DecodeError::Duplicate));
        let unknown = parse("06 01 0161 02 00 00", version);
        assert_eq!(unknown, Ok(active(way("a", &[0, 0]))));
    }
    let typed = parse::<Announce>("00 07 0161 02 07 07 00 00", Version::Lite06);
    assert_eq!(typed, Err(DecodeError::Duplicate));
    assert_eq!(
        unspeakable(&active(way("a", &[7, 7])), Version::Lite06),
        EncodeError::Value
    );
    let long: Vec<u64> = (1..=33).collect();
    assert_eq!(
        unspeakable(&active(way("a", &long)), Version::Lite06),
        EncodeError::Bounds
    );
}

#[test]
fn references_lead_to_live_announcements() {
    let v = Version::Lite07Wip;
    let mut decoder = AnnounceDecoder::new(v);
    // id 0: "x/y/cam1", hops 1 2
    feed(
        &mut decoder,
        v,
        "00 12 00 00 08 782f792f63616d31 00 02 01 02 00 00 00",
    )
    .unwrap();
    // id 1: 2 segments of it and "cam2", hop 9 and its last hop
    let second = feed(&mut decoder, v, "00 0d 01 02 04 63616d32 01 01 09 01 00 00");
    assert_eq!(
        second,
        Ok(Some(AnnounceEvent::Active(route(
            "x/y/cam2",
            &[9, 2],
            0,
            0
        ))))
    );
    // An update of id 1 on its own chain: hop 8 in front of all of it.
    let third = feed(&mut decoder, v, "02 07 01 01 01 08 02 05 06");
    assert_eq!(
        third,
        Ok(Some(AnnounceEvent::Restart(route(
            "x/y/cam2",
            &[8, 9, 2],
            5,
            6
        ))))
    );
    // id 2, two back: all of the path of id 0 and "z".
    let fourth = feed(&mut decoder, v, "00 09 02 03 01 7a 00 00 00 00 00");
    assert_eq!(
        fourth,
        Ok(Some(AnnounceEvent::Active(route("x/y/cam1/z", &[], 0, 0))))
    );
}

#[test]
fn references_to_nothing_are_refused() {
    let v = Version::Lite07Wip;
    let started = || {
        let mut decoder = AnnounceDecoder::new(v);
        // id 0: "a/b", hop 1; id 1: "c", no hops
        feed(&mut decoder, v, "00 0c 00 00 03 612f62 00 01 01 00 00 00").unwrap();
        feed(&mut decoder, v, "00 09 00 00 01 63 00 00 00 00 00").unwrap();
        decoder
    };
    for (text, why) in [
        ("00 09 03 01 01 7a 00 00 00 00 00", "no such START"),
        (
            "00 09 02 03 01 7a 00 00 00 00 00",
            "more segments than it has",
        ),
        ("00 09 00 01 01 7a 00 00 00 00 00", "segments of nothing"),
        ("00 09 00 00 01 7a 02 00 02 00 00", "more hops than it has"),
        ("00 09 00 00 01 7a 00 00 01 00 00", "hops of nothing"),
        ("02 06 05 00 00 00 00 00", "an update of nothing"),
    ] {
        let result = feed(&mut started(), v, text);
        assert_eq!(
            result,
            Err(Error::Decode(DecodeError::UnknownAnnounce)),
            "{why}"
        );
    }
    // The hop that is kept is there already.
    let twice = feed(&mut started(), v, "00 0a 00 00 01 7a 02 01 01 01 00 00");
    assert_eq!(twice, Err(Error::Decode(DecodeError::Duplicate)));
    // A retired announcement is no base.
    let mut retired = started();
    feed(&mut retired, v, "01 01 01").unwrap();
    let result = feed(&mut retired, v, "00 09 01 01 01 7a 00 00 00 00 00");
    assert_eq!(result, Err(Error::Decode(DecodeError::UnknownAnnounce)));
}

#[test]
fn a_path_put_together_obeys_the_limits_of_a_path() {
    let v = Version::Lite07Wip;
    let mut decoder = AnnounceDecoder::new(v);
    let deep = PathOwned::parse_owned(&["a"; 32].join("/")).unwrap();
    decoder
        .decode(active(route(deep.as_str(), &[], 0, 0)))
        .unwrap();
    let deeper = Announce::Active {
        suffix: Suffix {
            base: 1,
            keep: 32,
            rest: path("b"),
        },
        hops: Chain::default(),
        cost: Cost::UNPRICED,
    };
    assert_eq!(decoder.decode(deeper), Err(Error::BoundsExceeded));
}

#[test]
fn kept_hops_count_towards_the_limit_of_a_chain() {
    let v = Version::Lite07Wip;
    let mut decoder = AnnounceDecoder::new(v);
    let full: Vec<u64> = (1..=32).collect();
    decoder.decode(active(route("a", &full, 0, 0))).unwrap();
    let on_top = |text, ids, keep| Announce::Active {
        suffix: Suffix::literal(path(text)),
        hops: Chain {
            base: 1,
            ids: Some(ids),
            keep,
        },
        cost: Cost::UNPRICED,
    };
    assert_eq!(
        decoder.decode(on_top("b", vec![99], 32)),
        Ok(None),
        "33 hops"
    );
    assert_eq!(decoder.len(), 2);
    // "b" has no chain that could be kept from.
    assert_eq!(decoder.decode(on_top("c", vec![], 1)), Ok(None));
    let free = decoder.decode(on_top("d", vec![5], 0));
    assert_eq!(free, Ok(Some(AnnounceEvent::Active(way("d", &[5])))));
}
