//! What a session answers to subscribers, in bytes.

mod support;

use std::time::Duration;

use moq_net::{BroadcastInfo, Error, Origin, TrackInfo, Version};
use support::{
    downstream::Downstream,
    net::{Net, path},
    raw::{End, hex, stopped},
    transport::Options,
};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const PUBLISHED: [Version; 2] = [Version::Lite05, Version::Lite06];

/// Compares bytes with what a person wrote.
#[track_caller]
fn expect(got: (String, End), bytes: &str, end: End) {
    let wanted: String = bytes.chars().filter(|c| !c.is_whitespace()).collect();
    assert_eq!(got, (wanted, end));
}

/// SUBSCRIBE id 0, "room", "v", priority 5, max age 500, no bounds.
const SUBSCRIBE_05: &str = "02 0e 00 04726f6f6d 0176 05 00 41f4 00 00";
const SUBSCRIBE_06: &str = "02 0f 00 04726f6f6d 0176 05 41f4 00 00 00 00";

const fn subscribe(version: Version) -> &'static str {
    match version.has_frame_bounds() {
        true => SUBSCRIBE_06,
        false => SUBSCRIBE_05,
    }
}

#[test]
fn a_track_is_served_as_published_peers_serve_it_on_05() {
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite05);
    down.group(0, &[0]);
    let group = down.track.create_group(1).unwrap();
    group
        .write_timed(moq_net::Timestamp::from_millis(100), "hi")
        .unwrap();

    let mut announce = down.raw.bidi("01 02 00 02");
    expect(announce.read(), "02 01 01  07 01 04726f6f6d 00", End::Open);
    let mut track = down.raw.bidi("06 07 04726f6f6d 0176");
    expect(track.read(), "06 7f 00 5388 43e8", End::Fin);
    let mut stream = down.raw.bidi(SUBSCRIBE_05);
    expect(stream.read(), "00 01 01", End::Open);
    let mut uni = down.raw.accept_uni().unwrap();
    expect(
        support::raw::read(&net.executor, &mut uni),
        "00 02 00 01  40c8 02 6869",
        End::Open,
    );
    group
        .write_timed(moq_net::Timestamp::from_millis(133), "yo!")
        .unwrap();
    group.finish().unwrap();
    expect(
        support::raw::read(&net.executor, &mut uni),
        "4042 03 796f21",
        End::Fin,
    );

    let mut fetch = down.raw.bidi("03 09 04726f6f6d 0176 03 00");
    expect(fetch.read(), "00 01 30", End::Fin);
    down.track
        .write_datagram("dg", moq_net::Timestamp::from_millis(200))
        .unwrap();
    assert_eq!(
        down.raw.datagram().unwrap(),
        "000240c86467",
        "subscription 0, sequence 2, 200 ms"
    );
    down.track.finish().unwrap();
    expect(stream.read(), "01 01 03", End::Fin);
    drop(down.broadcast);
    expect(announce.read(), "07 00 04726f6f6d 00", End::Open);
}

#[test]
fn a_track_is_served_as_published_peers_serve_it_on_06() {
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite06);
    down.group(0, &[0]);
    down.group(1, &[100, 133]);

    let mut announce = down.raw.bidi("01 01 00");
    expect(
        announce.read(),
        "02 01 01  00 08 04726f6f6d 00 00 00",
        End::Open,
    );
    let mut track = down.raw.bidi("06 07 04726f6f6d 0176");
    expect(track.read(), "05 7f 5388 43e8", End::Fin);
    // Group 0 lies within the max age: it comes too.
    let mut stream = down.raw.bidi(SUBSCRIBE_06);
    expect(stream.read(), "00 01 00", End::Open);
    expect(
        down.raw.read_uni().unwrap(),
        "00 03 00 00 00  00 01 30",
        End::Fin,
    );
    expect(
        down.raw.read_uni().unwrap(),
        "00 03 00 01 00  40c8 03 313030 4042 03 313333",
        End::Fin,
    );
    drop(down.broadcast);
    expect(announce.read(), "01 01 00", End::Open);
}

#[test]
fn old_versions_are_served_without_times() {
    for (version, subscribe, ok) in [
        (Version::Lite01, "02 09 00 04726f6f6d 0176 05", "01 05"),
        (Version::Lite02, "02 09 00 04726f6f6d 0176 05", "00"),
        (Version::Lite03, SUBSCRIBE_05, "00 05 05 00 00 00 00"),
        (Version::Lite04, SUBSCRIBE_05, "00 05 05 00 00 00 00"),
    ] {
        let net = Net::new();
        let down = Downstream::new(&net, version);
        down.group(1, &[100, 133]);
        let mut stream = down.raw.bidi(subscribe);
        expect(stream.read(), ok, End::Open);
        expect(
            down.raw.read_uni().unwrap(),
            "00 02 00 01  03 313030 03 313333",
            End::Fin,
        );
        down.track.finish().unwrap();
        expect(stream.read(), "", End::Fin);
    }
}

#[test]
fn the_wip_of_05_confirms_with_properties_and_ends_with_the_stream() {
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite05Wip);
    down.group(1, &[100]);
    let mut stream = down.raw.bidi(SUBSCRIBE_05);
    // priority, ordered, latency, start, end, timescale 1000, cache 5000, no codec
    expect(
        stream.read(),
        "00 0a 05 00 00 00 00 43e8 5388 00",
        End::Open,
    );
    expect(
        down.raw.read_uni().unwrap(),
        "00 02 00 01  40c8 03 313030",
        End::Fin,
    );
    // FETCH group 1 from frame 0, and from one past its end
    let mut fetch = down.raw.bidi("03 0a 04726f6f6d 0176 03 01 00");
    expect(fetch.read(), "04 01 43e8 00  40c8 03 313030", End::Fin);
    let mut fetch = down.raw.bidi("03 0a 04726f6f6d 0176 03 01 01");
    expect(fetch.read(), "04 01 43e8 00", End::Fin);
    let mut missing = down.raw.bidi("03 0a 04726f6f6d 0176 03 09 00");
    expect(missing.read(), "", End::Reset(13));
    down.track.finish().unwrap();
    expect(stream.read(), "", End::Fin);
}

#[test]
fn what_does_not_exist_is_reset_with_what_is_missing() {
    for version in PUBLISHED {
        let net = Net::new();
        let down = Downstream::new(&net, version);
        down.group(0, &[0]);
        let tail = if version.has_frame_bounds() {
            "00 00 00 00 00 00"
        } else {
            "00 00 00 00 00"
        };
        let length = if version.has_frame_bounds() {
            "0e"
        } else {
            "0d"
        };
        // broadcast "zoom"; track "w"
        expect(
            down.raw
                .bidi(&format!("02 {length} 00 047a6f6f6d 0176 {tail}"))
                .read(),
            "",
            End::Reset(0x36),
        );
        expect(
            down.raw
                .bidi(&format!("02 {length} 01 04726f6f6d 0177 {tail}"))
                .read(),
            "",
            End::Reset(0x33),
        );
        expect(
            down.raw.bidi("06 07 047a6f6f6d 0176").read(),
            "",
            End::Reset(0x36),
        );
        expect(
            down.raw.bidi("06 07 04726f6f6d 0177").read(),
            "",
            End::Reset(0x33),
        );
        let bounds = if version.has_frame_bounds() {
            "00 00"
        } else {
            ""
        };
        let length = if version.has_frame_bounds() {
            "0c"
        } else {
            "0a"
        };
        expect(
            down.raw
                .bidi(&format!("03 {length} 04726f6f6d 0176 00 404d {bounds}"))
                .read(),
            "",
            End::Reset(0x33),
        );
        assert!(down.raw.closed().is_none(), "{version}");
    }
}

#[test]
fn a_subscription_without_patience_starts_at_the_latest_group() {
    for version in PUBLISHED {
        let net = Net::new();
        let down = Downstream::new(&net, version);
        for sequence in 0..3 {
            down.group(sequence, &[sequence * 10]);
        }
        let mut stream = down.raw.bidi(match version {
            Version::Lite05 => "02 0d 00 04726f6f6d 0176 05 00 00 00 00",
            _ => "02 0e 00 04726f6f6d 0176 05 00 00 00 00 00",
        });
        expect(stream.read(), "00 01 02", End::Open);
        let (group, end) = down.raw.read_uni().unwrap();
        assert!(group.starts_with(if version.has_frame_bounds() {
            "0003000200"
        } else {
            "00020002"
        }));
        assert_eq!(end, End::Fin);
        assert!(down.raw.accept_uni().is_none(), "{version}");
    }
}

#[test]
fn frames_are_bounded_inside_the_first_and_the_last_group_only() {
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite06);
    down.group(1, &[10, 11, 12]);
    down.group(2, &[20, 21, 22]);
    down.group(3, &[30, 31, 32]);
    down.group(4, &[40]);
    // max age 5000, start 1, end 3 (+1), from frame 2, to frame 0 (+1)
    let mut stream = down
        .raw
        .bidi("02 0f 00 04726f6f6d 0176 05 5388 01 04 02 01");
    expect(stream.read(), "00 01 01", End::Open);
    expect(
        down.raw.read_uni().unwrap(),
        "00 03 00 01 02  18 02 3132",
        End::Fin,
    );
    expect(
        down.raw.read_uni().unwrap(),
        "00 03 00 02 00  28 02 3230 02 02 3231 02 02 3232",
        End::Fin,
    );
    expect(
        down.raw.read_uni().unwrap(),
        "00 03 00 03 00  3c 02 3330",
        End::Fin,
    );
    assert!(
        down.raw.accept_uni().is_none(),
        "group 4 lies beyond the end"
    );
    // The end is a cap: raised, it lets through what it held.
    stream.write("07 05 5388 01 00 00 00");
    expect(
        down.raw.read_uni().unwrap(),
        "00 03 00 04 00  4050 02 3430",
        End::Fin,
    );
}

#[test]
fn a_subscription_may_begin_inside_the_very_first_group_or_inside_one_it_names_later() {
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite06);
    down.group(0, &[10, 11, 12]);
    // max age 5000, start 0, end 1 (+1), from frame 2
    let mut stream = down
        .raw
        .bidi("02 0f 00 04726f6f6d 0176 05 5388 00 02 02 00");
    expect(stream.read(), "00 01 00", End::Open);
    let first = down.raw.read_uni().unwrap();
    expect(first, "00 03 00 00 02  18 02 3132", End::Fin);
    // start 2, no end, from frame 1
    stream.write("07 05 5388 02 00 01 00");
    down.group(2, &[20, 21]);
    let named = down.raw.read_uni().unwrap();
    expect(named, "00 03 00 02 01  2a 02 3231", End::Fin);
}

#[test]
fn a_fetch_covers_its_range_or_nothing() {
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite06);
    down.group(0, &[10, 11, 12]);
    // frames 1 to 1: the first time is absolute
    expect(
        down.raw.bidi("03 0b 04726f6f6d 0176 03 00 01 02").read(),
        "16 02 3131",
        End::Fin,
    );
    // from frame 1 on
    expect(
        down.raw.bidi("03 0b 04726f6f6d 0176 03 00 01 00").read(),
        "16 02 3131 02 02 3132",
        End::Fin,
    );
    // from beyond the end
    expect(
        down.raw.bidi("03 0b 04726f6f6d 0176 03 00 03 00").read(),
        "",
        End::Fin,
    );
    expect(
        down.raw.bidi("03 0b 04726f6f6d 0176 03 00 09 00").read(),
        "",
        End::Fin,
    );
    // backwards
    let (bytes, end) = down.raw.bidi("03 0b 04726f6f6d 0176 03 00 02 01").read();
    assert!(bytes.is_empty() && matches!(end, End::Reset(_)), "{end:?}");
    assert!(down.raw.closed().is_none());
}

#[test]
fn a_fetch_of_a_group_that_still_grows_follows_it() {
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite05);
    let group = down.track.create_group(0).unwrap();
    let mut fetch = down.raw.bidi("03 09 04726f6f6d 0176 03 00");
    expect(fetch.read(), "", End::Open);
    group
        .write_timed(moq_net::Timestamp::from_millis(1), "a")
        .unwrap();
    expect(fetch.read(), "02 01 61", End::Open);
    group.abort(Error::App(1)).unwrap();
    expect(fetch.read(), "", End::Reset(0x41));
}

#[test]
fn leaving_early_cancels_what_was_asked() {
    for version in PUBLISHED {
        let net = Net::new();
        let down = Downstream::new(&net, version);
        let mut stream = down.raw.bidi(subscribe(version));
        stream.fin();
        expect(stream.read(), "", End::Fin);
        // An unfinished group keeps the fetch open until its FIN cancels it.
        let _group = down.track.create_group(0).unwrap();
        let bounds = if version.has_frame_bounds() {
            "0b 04726f6f6d 0176 03 00 00 00"
        } else {
            "09 04726f6f6d 0176 03 00"
        };
        let mut fetch = down.raw.bidi(&format!("03 {bounds}"));
        fetch.fin();
        expect(fetch.read(), "", End::Reset(1));
        assert!(down.raw.accept_uni().is_none());
    }
}

#[test]
fn a_subscriber_that_leaves_ends_its_groups_and_hears_a_fin() {
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite05);
    let group = down.track.create_group(0).unwrap();
    group
        .write_timed(moq_net::Timestamp::from_millis(1), "a")
        .unwrap();
    let mut stream = down.raw.bidi(SUBSCRIBE_05);
    let mut uni = down.raw.accept_uni().unwrap();
    expect(
        support::raw::read(&net.executor, &mut uni),
        "00 02 00 00  02 01 61",
        End::Open,
    );
    stream.read();
    stream.fin();
    expect(stream.read(), "", End::Fin);
    expect(
        support::raw::read(&net.executor, &mut uni),
        "",
        End::Reset(1),
    );
    net.executor.run_until_idle();
    assert!(down.track.subscription().is_none());
}

#[test]
fn a_track_that_fails_resets_the_subscription_and_what_is_incomplete() {
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite05);
    let mut stream = down.raw.bidi(SUBSCRIBE_05);
    let group = down.track.create_group(0).unwrap();
    group
        .write_timed(moq_net::Timestamp::from_millis(1), "a")
        .unwrap();
    let mut uni = down.raw.accept_uni().unwrap();
    support::raw::read(&net.executor, &mut uni);
    expect(stream.read(), "00 01 00", End::Open);
    down.track.abort(Error::App(5)).unwrap();
    expect(stream.read(), "", End::Reset(0x45));
    expect(
        support::raw::read(&net.executor, &mut uni),
        "",
        End::Reset(0x45),
    );
}

#[test]
fn a_track_whose_owner_vanishes_still_delivers_what_is_complete() {
    let net = Net::new();
    let options = Options {
        window: 16,
        ..Net::options(Version::Lite05)
    };
    let down = Downstream::with(&net, Version::Lite05, options);
    down.group(0, &[1_000_000, 2_000_000]);
    let Downstream {
        track,
        broadcast,
        session: _session,
        raw,
        ..
    } = down;
    let mut stream = raw.bidi(SUBSCRIBE_05);
    let mut uni = raw.accept_uni().unwrap();
    expect(stream.read(), "00 01 00", End::Open);
    drop((track, broadcast));
    expect(stream.read(), "", End::Reset(0));
    let (bytes, end) = support::raw::read(&net.executor, &mut uni);
    assert!(bytes.ends_with("0732303030303030"), "{bytes}");
    assert_eq!(end, End::Fin);
}

#[test]
fn unknown_streams_end_alone() {
    for version in Version::ALL {
        let net = Net::new();
        let down = Downstream::new(&net, version);
        for kind in ["00", "07", "3f", "4100"] {
            let mut stream = down.raw.bidi(kind);
            expect(
                stream.read(),
                "",
                End::Reset(if version.has_decimal_codes() { 10 } else { 0 }),
            );
        }
        let mut uni = down.raw.uni("05 00");
        assert!(stopped(&mut uni).is_some(), "{version}");
        // Over before they began: nobody's business.
        down.raw.uni_fin("");
        down.raw.bidi("").fin();
        down.raw.bidi("").reset(3);
        assert!(down.raw.closed().is_none(), "{version}");
    }
}

#[test]
fn streams_a_version_does_not_have_are_unknown_to_it() {
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite04);
    expect(
        down.raw.bidi("03 09 04726f6f6d 0176 03 00").read(),
        "",
        End::Reset(0),
    );
    expect(
        down.raw.bidi("06 07 04726f6f6d 0176").read(),
        "",
        End::Reset(0),
    );
    let mut setup = down.raw.uni("01 01 00");
    assert!(stopped(&mut setup).is_some());
    assert!(down.raw.closed().is_none());
}

#[test]
fn nothing_is_answered_before_the_peers_setup() {
    for version in PUBLISHED {
        let net = Net::new();
        let down = Downstream::silent(&net, version, Net::options(version));
        down.group(0, &[0]);
        let mut stream = down.raw.bidi(subscribe(version));
        let mut track = down.raw.bidi("06 07 04726f6f6d 0176");
        expect(stream.read(), "", End::Open);
        expect(track.read(), "", End::Open);
        down.raw.uni_fin("01 01 00");
        expect(stream.read(), "00 01 00", End::Open);
        assert_eq!(track.read().1, End::Fin);
    }
}

#[test]
fn a_peer_without_a_setup_is_let_go_in_time() {
    for version in PUBLISHED {
        let net = Net::new();
        let down = Downstream::silent(&net, version, Net::options(version));
        net.executor.advance(Duration::from_millis(4_900));
        assert!(down.raw.closed().is_none());
        net.executor.advance(Duration::from_millis(200));
        assert_eq!(down.raw.closed(), Some(0x11), "{version}");
        let late = Error::Late {
            what: "the peer's SETUP",
            limit: Duration::from_secs(5),
        };
        assert_eq!(net.executor.run_until(down.session.closed()), late);
        assert_eq!(net.executor.run_until(down.session.ready()), Err(late));
    }
}

#[test]
fn a_broken_setup_ends_the_session() {
    for (setup, code) in [
        ("01 04 02 05 01 02 05 01 02", 3), // trailing bytes
        ("01 07 02 05 01 02 05 01 02", 3), // a parameter twice
        ("01 05 01 02 02 2f61", 3),        // a path from a server
        ("01 04 01 03 01 01", 3),          // a role from a server
        ("01 05 01 05 02 02 00", 3),       // a value with trailing bytes
    ] {
        let net = Net::new();
        let down = Downstream::silent(&net, Version::Lite05, Net::options(Version::Lite05));
        let _setup = down.raw.uni_fin(setup);
        assert_eq!(down.raw.closed(), Some(code), "{setup}");
    }
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite05);
    let _second = down.raw.uni("01 01 00");
    assert_eq!(down.raw.closed(), Some(3), "a second SETUP");
}

#[test]
fn malformed_requests_end_their_stream_and_from_06_on_a_wrong_length_the_session() {
    for version in [Version::Lite04, Version::Lite05, Version::Lite06] {
        for (request, is_length) in [
            ("02 03 00 04 72", true),       // a string longer than its message
            ("02 20 00 04726f6f6d", false), // a FIN inside the message
            ("02 06 00 04ff6f6f6d", false), // not UTF-8
            ("01 03 00 00 00", true),       // bytes left over
            ("02 80010001", false),         // larger than we are willing to hold
        ] {
            let net = Net::new();
            let down = Downstream::new(&net, version);
            let mut stream = down.raw.bidi(request);
            if request == "02 20 00 04726f6f6d" {
                stream.fin();
            }
            if is_length && version.length_mismatch_ends_session() {
                assert_eq!(down.raw.closed(), Some(3), "{version} {request}");
            } else {
                let (_, end) = stream.read();
                assert!(matches!(end, End::Reset(_)), "{version} {request} {end:?}");
                assert!(down.raw.closed().is_none(), "{version} {request}");
            }
        }
    }
}

#[test]
fn a_stream_that_says_nothing_is_let_go_in_time() {
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite05);
    let mut empty = down.raw.bidi("");
    let mut half = down.raw.bidi("02 0e 00 04");
    let mut uni = down.raw.uni("00 02");
    net.executor.advance(Duration::from_millis(10_100));
    expect(empty.read(), "", End::Reset(0x31));
    expect(half.read(), "", End::Reset(0x31));
    assert!(stopped(&mut uni).is_some());
    assert!(down.raw.closed().is_none());
}

#[test]
fn announcements_follow_a_prefix_segment_by_segment() {
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite05);
    let _deeper = down.origin.create_broadcast(&path("room/a")).unwrap();
    // "room" itself has an empty suffix
    expect(
        down.raw.bidi("01 06 04726f6f6d 02").read(),
        "02 01 02  03 01 00 00  04 01 0161 00",
        End::Open,
    );
    // "ro" covers nothing
    expect(
        down.raw.bidi("01 04 02726f 02").read(),
        "02 01 00",
        End::Open,
    );
}

#[test]
fn what_came_from_a_peer_is_not_announced_or_served_to_it() {
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite05);
    let hops = moq_net::OriginList::try_from(vec![Origin::from(7), Origin::from(2)]).unwrap();
    let theirs = BroadcastInfo::new().with_hops(hops).produce(&net.runtime);
    let _track = theirs.create_track("v", TrackInfo::default()).unwrap();
    let _guard = down
        .origin
        .publish_broadcast(&path("theirs"), &theirs)
        .unwrap();
    // The peer goes by hop 2.
    expect(
        down.raw.bidi("01 02 00 02").read(),
        "02 01 01  07 01 04726f6f6d 00",
        End::Open,
    );
    expect(
        down.raw.bidi("06 09 06746865697273 0176").read(),
        "",
        End::Reset(0x36),
    );
}

#[test]
fn a_change_that_a_version_has_no_words_for_is_not_told() {
    for version in Version::ALL {
        let net = Net::new();
        let down = Downstream::new(&net, version);
        let info = |hops: &[u64], warm| {
            let hops: Vec<Origin> = hops.iter().map(|hop| Origin::from(*hop)).collect();
            let mut info = BroadcastInfo::new().with_hops(hops.try_into().unwrap());
            info.cost.warm = warm;
            info
        };
        let zoom = path("zoom");
        let first = info(&[9], 5).produce(&net.runtime);
        let published = down.origin.publish_broadcast(&zoom, &first).unwrap();
        let mut announce = down.raw.bidi(match version {
            Version::Lite04 | Version::Lite05Wip | Version::Lite05 => "01 02 00 02",
            Version::Lite07Wip => "01 02 00 01",
            _ => "01 01 00",
        });
        assert!(!announce.read().0.is_empty(), "{version}");
        let mut is_told = || !announce.read().0.is_empty();

        published.update(info(&[9], 4));
        assert_eq!(is_told(), version.has_route_cost(), "{version}: a price");
        published.update(info(&[8], 4));
        assert_eq!(is_told(), version.has_hop_ids(), "{version}: a hop");
        published.update(info(&[8, 7], 4));
        assert_eq!(is_told(), version.has_hops(), "{version}: more hops");
        let second = info(&[8, 7], 4).produce(&net.runtime);
        let _instead = down.origin.publish_broadcast(&zoom, &second).unwrap();
        drop(published);
        assert!(is_told(), "{version}: another broadcast");
    }
}

#[test]
fn a_silent_announce_stream_stays_open_and_ends_with_a_fin() {
    for version in Version::ALL {
        let net = Net::new();
        let down = Downstream::new(&net, version);
        let exclude = if version.has_exclude_hop() { "00" } else { "" };
        let hidden = if version.has_hidden() { "01" } else { "" };
        let body = format!("04 7a6f6f6d {exclude} {hidden}");
        let mut announce = down
            .raw
            .bidi(&format!("01 {:02x} {body}", hex(&body).len()));
        let (answer, end) = announce.read();
        let expected = match () {
            () if version.has_announce_init() => "0100",
            () if version.has_announce_ok() => "020100",
            () => "",
        };
        assert_eq!((answer.as_str(), end), (expected, End::Open), "{version}");
        announce.fin();
        assert_eq!(announce.read().1, End::Fin, "{version}");
    }
}

#[test]
fn priorities_order_streams_and_updates_reach_open_ones() {
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite05);
    let groups: Vec<_> = (0..3)
        .map(|sequence| down.track.create_group(sequence).unwrap())
        .collect();
    for group in &groups {
        group
            .write_timed(moq_net::Timestamp::from_millis(0), "x")
            .unwrap();
    }
    // start 0 (+1)
    let mut low = down.raw.bidi("02 0e 00 04726f6f6d 0176 05 00 5388 01 00");
    let streams: Vec<_> = (0..3).map(|_| down.raw.accept_uni().unwrap()).collect();
    let before: Vec<_> = streams
        .iter()
        .map(support::transport::Recv::priority)
        .collect();
    assert!(
        before[0] < before[1] && before[1] < before[2],
        "{before:?}: newest first"
    );
    let _high = down.raw.bidi("02 0e 01 04726f6f6d 0176 09 00 5388 03 00");
    let high = down.raw.accept_uni().unwrap();
    assert!(high.priority() > before[2]);
    assert!(low.recv.priority() > high.priority(), "control goes first");
    low.write("06 0a 00 5388 00 00");
    assert!(streams[0].priority() > high.priority());
    low.read();
}

#[test]
fn a_group_that_is_stale_gets_no_stream_and_one_that_is_stuck_is_reset() {
    let net = Net::new();
    let options = Options {
        window: 16,
        ..Net::options(Version::Lite05)
    };
    let down = Downstream::with(&net, Version::Lite05, options);
    // max age 500
    let mut stream = down.raw.bidi(SUBSCRIBE_05);
    let stuck = down.track.create_group(0).unwrap();
    stuck
        .write_timed(moq_net::Timestamp::from_millis(0), vec![0_u8; 100])
        .unwrap();
    let mut uni = down.raw.accept_uni().unwrap();
    net.executor.advance(Duration::from_secs(5));
    assert_eq!(down.raw.transport.close_reason(), None);
    // Newer ones, more than the max age ahead.
    down.group(1, &[10_000]);
    down.group(2, &[20_000, 20_001]);
    net.executor.advance(Duration::from_millis(900));
    let one = down.raw.read_uni();
    let two = down.raw.read_uni();
    assert!(one.is_some());
    drop(two);
    net.executor.advance(Duration::from_millis(200));
    expect(
        support::raw::read(&net.executor, &mut uni),
        "",
        End::Reset(0x34),
    );
    assert_eq!(stream.read().1, End::Open);
}

#[test]
fn without_stream_credit_groups_that_get_too_old_are_skipped() {
    let net = Net::new();
    let options = Options {
        max_uni: 1,
        ..Net::options(Version::Lite05)
    };
    let down = Downstream::silent(&net, Version::Lite05, options);
    down.raw.uni_fin("01 04 01 05 01 02");
    let mut stream = down.raw.bidi(SUBSCRIBE_05);
    let first = down.track.create_group(0).unwrap();
    first
        .write_timed(moq_net::Timestamp::from_millis(0), "a")
        .unwrap();
    let mut uni = down.raw.accept_uni().unwrap();
    for sequence in 1..5 {
        down.group(sequence, &[sequence * 10_000, sequence * 10_000 + 1_000]);
        net.executor.run_until_idle();
    }
    assert!(down.raw.accept_uni().is_none());
    first.finish().unwrap();
    assert_eq!(support::raw::read(&net.executor, &mut uni).1, End::Fin);
    let (latest, _) = down.raw.read_uni().unwrap();
    assert!(latest.starts_with("00020004"), "{latest}");
    assert!(down.raw.accept_uni().is_none());
    // START 0, then DROP of 1 to 3, as they got too old; the code is that of an old group.
    let mut missing = std::collections::BTreeSet::new();
    let (replies, end) = stream.read();
    assert_eq!((&replies[..6], end), ("000100", End::Open));
    let mut drops = &replies[6..];
    while !drops.is_empty() {
        let (drop, rest) = drops.split_at(10);
        assert!(drop.starts_with("0203") && drop.ends_with("34"), "{drop}");
        let [from, to] = [4, 6].map(|at| u64::from_str_radix(&drop[at..at + 2], 16).unwrap());
        missing.extend(from..=to);
        drops = rest;
    }
    assert_eq!(missing.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn an_end_counts_the_streams_there_are_and_waits_for_those_that_may_come() {
    let net = Net::new();
    let options = Options {
        max_uni: 1,
        ..Net::options(Version::Lite07Wip)
    };
    let down = Downstream::silent(&net, Version::Lite07Wip, options);
    down.raw.uni_fin("01 04 01 05 01 02");
    let mut stream = down
        .raw
        .bidi("02 0f 00 04726f6f6d 0176 05 81f4 00 00 00 00");
    let first = down.track.create_group(0).unwrap();
    first
        .write_timed(moq_net::Timestamp::from_millis(0), "a")
        .unwrap();
    let mut uni = down.raw.accept_uni().unwrap();
    for sequence in 1..5 {
        down.group(sequence, &[sequence * 10_000, sequence * 10_000 + 1_000]);
        net.executor.run_until_idle();
    }
    down.track.finish().unwrap();
    // START 0; group 4 has no stream yet.
    expect(stream.read(), "00 01 00", End::Open);
    first.finish().unwrap();
    assert_eq!(support::raw::read(&net.executor, &mut uni).1, End::Fin);
    down.raw.read_uni().expect("group 4");
    // END 5 after two streams: those between got too old for one.
    expect(stream.read(), "01 02 05 02", End::Fin);
}

#[test]
fn small_frames_that_are_ready_together_share_a_write() {
    use web_transport_trait::RecvStream as _;
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite05);
    down.group(0, &(0..1000).collect::<Vec<_>>());
    let _stream = down.raw.bidi(SUBSCRIBE_05);
    let mut uni = down.raw.accept_uni().unwrap();
    let mut chunks = 0;
    while net
        .executor
        .run_until(uni.read_chunk(usize::MAX))
        .unwrap()
        .is_some()
    {
        chunks += 1;
    }
    assert!(chunks <= 2, "{chunks} writes for a thousand small frames");
}

#[test]
fn probes_report_what_the_transport_knows_when_it_changes_much() {
    let net = Net::new();
    let known = Options {
        rtt: Some(Duration::from_millis(40)),
        rate: Some(1_000_000),
        ..Net::options(Version::Lite05)
    };
    let down = Downstream::with(&net, Version::Lite05, known);
    let mut probe = down.raw.bidi("04");
    expect(probe.read(), "05 800f4240 28", End::Open);
    net.executor.advance(Duration::from_secs(30));
    expect(probe.read(), "", End::Open);
    probe.fin();

    let down = Downstream::new(&net, Version::Lite05);
    let mut silent = down.raw.bidi("04");
    net.executor.advance(Duration::from_secs(30));
    expect(silent.read(), "", End::Open);
}

#[test]
fn a_drain_tells_the_peer_and_ends_in_time() {
    for version in [Version::Lite03, Version::Lite04, Version::Lite06] {
        let net = Net::new();
        let down = Downstream::new(&net, version);
        while down.raw.accept_bidi().is_some() {}
        down.session.goaway("https://b/");
        match version.has_goaway() {
            true => expect(
                down.raw.accept_bidi().unwrap().read(),
                "05 0b 0a 68747470733a2f2f622f",
                End::Fin,
            ),
            false => assert!(down.raw.accept_bidi().is_none()),
        }
        net.executor.advance(Duration::from_millis(9_900));
        assert!(down.raw.closed().is_none());
        net.executor.advance(Duration::from_millis(200));
        assert_eq!(down.raw.closed(), Some(0x10), "{version}");
        assert_eq!(
            net.executor.run_until(down.session.closed()),
            Error::GoingAway
        );
    }
}

#[test]
fn subscriptions_beyond_the_limit_are_refused_until_one_leaves() {
    let net = Net::with_limits(moq_net::Limits {
        subscriptions: 1,
        ..moq_net::Limits::default()
    });
    let down = Downstream::new(&net, Version::Lite05);
    let mut one = down.raw.bidi(SUBSCRIBE_05);
    expect(one.read(), "", End::Open);
    let mut two = down.raw.bidi("02 0e 01 04726f6f6d 0176 05 00 41f4 00 00");
    expect(two.read(), "", End::Reset(0x30));
    one.fin();
    let mut three = down.raw.bidi("02 0e 02 04726f6f6d 0176 05 00 41f4 00 00");
    expect(three.read(), "", End::Open);
}

#[test]
fn a_group_that_comes_late_is_sent_too() {
    // From group 0 on: without a start the first one there is begins it.
    for (version, subscribe, header) in [
        (
            Version::Lite04,
            "02 0e 00 04726f6f6d 0176 05 00 5388 01 00",
            "0002 00",
        ),
        (
            Version::Lite05,
            "02 0e 00 04726f6f6d 0176 05 00 5388 01 00",
            "0002 00",
        ),
        (
            Version::Lite06,
            "02 0f 00 04726f6f6d 0176 05 5388 00 00 00 00",
            "0003 00",
        ),
    ] {
        let net = Net::new();
        let down = Downstream::new(&net, version);
        let _stream = down.raw.bidi(subscribe);
        for sequence in [2, 1] {
            down.group(sequence, &[sequence * 10]);
            let (bytes, end) = down.raw.read_uni().expect("a group stream");
            let header = format!("{}{sequence:02x}", header.replace(' ', ""));
            assert!(bytes.starts_with(&header), "{version}: {bytes}");
            assert_eq!(end, End::Fin, "{version}");
        }
    }
}

#[test]
fn a_fetch_from_inside_a_group_begins_with_a_whole_timestamp() {
    for (version, fetch, answer) in [
        // FETCH_OK: group 0, timescale 1000, no codec
        (
            Version::Lite05Wip,
            "03 0a 04726f6f6d 0176 03 00 02",
            "04 00 43e8 00  18 02 3132",
        ),
        (
            Version::Lite06,
            "03 0b 04726f6f6d 0176 03 00 02 00",
            "18 02 3132",
        ),
    ] {
        let net = Net::new();
        let down = Downstream::new(&net, version);
        down.group(0, &[10, 11, 12]);
        expect(down.raw.bidi(fetch).read(), answer, End::Fin);
    }
}
