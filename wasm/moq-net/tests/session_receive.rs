//! What a session makes of announcements, groups and datagrams, good and bad: each fault ends the least it can.

mod support;

use std::time::Duration;

use moq_net::{
    Announced, BroadcastConsumer, Error, Limits, Subscription, TrackSubscriber, Version,
};
use support::{
    net::{Net, path},
    raw::{Bidi, End, stopped},
    upstream::Upstream,
};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// An announce stream whose preamble has come: the sender is hop 1 where it says so.
fn announcing<'a>(up: &'a Upstream<'_>) -> Bidi<'a> {
    let mut stream = up.accept("01");
    stream.read();
    if up.version.has_announce_ok() {
        stream.write("02 01 00");
    }
    stream
}

/// ANNOUNCE of "room" with these hops.
fn active(version: Version, hops: &[u8]) -> String {
    let ids: String = hops.iter().map(|hop| format!("{hop:02x}")).collect();
    let count = hops.len();
    match version {
        Version::Lite03 => format!("07 01 04726f6f6d {count:02x}"),
        Version::Lite06 => format!("00 {:02x} 04726f6f6d {count:02x} {ids} 03 07", 8 + count),
        _ => format!("{:02x} 01 04726f6f6d {count:02x} {ids}", 7 + count),
    }
}

/// The hops and the cost of "room", if it is there.
fn route(up: &Upstream<'_>) -> Option<(Vec<u64>, u64, u64)> {
    up.net.executor.run_until_idle();
    let pending = up.origin.consume().request_broadcast(&path("room")).ok()?;
    let broadcast = up.net.executor.run_until(pending).ok()?;
    let info = broadcast.info();
    let hops = info.hops.iter().map(|hop| hop.id).collect();
    Some((hops, info.cost.warm, info.cost.cold))
}

#[test]
fn chains_are_completed_as_each_version_means_them() {
    let net = Net::new();
    let cases = [
        (Version::Lite03, vec![9, 1], None),
        (Version::Lite04, vec![9, 1], Some(vec![9, 1])),
        (Version::Lite05, vec![9], Some(vec![9, 1])),
        (Version::Lite06, vec![9], Some(vec![9, 1])),
    ];
    for (version, hops, expected) in cases {
        let up = Upstream::new(&net, version);
        let mut stream = announcing(&up);
        stream.write(&active(version, &hops));
        let (chain, warm, cold) = route(&up).expect("announced");
        match expected {
            Some(expected) => assert_eq!(chain, expected, "{version}"),
            // Nobody knows who they were; the first one gets a name for this connection.
            None => {
                assert_eq!(&chain[1..], [0, 0], "{version}");
                assert_ne!(chain[0], 0);
            }
        }
        if version.has_route_cost() {
            assert_eq!((warm, cold), (4, 8), "a link without a price costs one");
        }
    }
}

#[test]
fn a_sender_without_a_name_gets_one_for_the_connection() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let mut stream = up.accept("01");
    stream.write("02 00 01  07 01 04726f6f6d 00");
    let (chain, ..) = route(&up).expect("announced");
    assert_eq!((chain.len(), chain[1]), (2, 0));
    assert_ne!(chain[0], 0);
}

#[test]
fn loops_are_ignored_and_the_session_lives() {
    for version in [Version::Lite04, Version::Lite05, Version::Lite06] {
        let net = Net::new();
        // Our own id is 2.
        let up = Upstream::new(&net, version);
        let mut stream = announcing(&up);
        stream.write(&active(version, &[9, 2]));
        assert_eq!(route(&up), None, "{version}: our own id");
        assert!(up.ended().is_none(), "{version}");
    }
    for version in [Version::Lite05, Version::Lite06] {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let mut stream = announcing(&up);
        stream.write(&active(version, &[1, 9]));
        assert_eq!(route(&up), None, "{version}: the sender's own id");
        assert!(up.ended().is_none(), "{version}");
    }
}

#[test]
fn ignored_announcements_still_take_their_id() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite06);
    let mut stream = announcing(&up);
    // Id 0 is a loop, type 9 is unknown and takes none, id 1 is "zoom".
    stream.write("00 09 04726f6f6d 01 02 00 00  09 02 0000  00 08 047a6f6f6d 00 00 00");
    assert_eq!(route(&up), None);
    // The loop finds another way; the other ends.
    stream.write("02 05 00 01 09 03 07  01 01 01");
    assert_eq!(route(&up).map(|(hops, ..)| hops), Some(vec![9, 1]));
    assert!(
        up.origin
            .consume()
            .request_broadcast(&path("zoom"))
            .is_err()
    );
    assert!(up.ended().is_none());
}

#[test]
fn a_second_active_replaces_the_first_where_that_is_allowed() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let mut announced = up.origin.consume().announced();
    let mut stream = announcing(&up);
    stream.write(&active(Version::Lite05, &[9]));
    assert!(matches!(
        net.executor.run_until(announced.next()),
        Some((_, Announced::Active(_)))
    ));
    stream.write(&active(Version::Lite05, &[8, 9]));
    assert!(matches!(
        net.executor.run_until(announced.next()),
        Some((_, Announced::Restart(_)))
    ));
    assert_eq!(route(&up).map(|(hops, ..)| hops), Some(vec![8, 9, 1]));
    for version in [Version::Lite03, Version::Lite04, Version::Lite06] {
        let up = Upstream::new(&net, version);
        let mut stream = announcing(&up);
        stream.write(&active(version, &[9]));
        stream.write(&active(version, &[8]));
        assert_eq!(up.raw.closed(), Some(3), "{version}");
        assert_eq!(up.ended(), Some(Error::ProtocolViolation));
    }
}

/// A change of the route to "room", which was the first announcement: these hops, at this cost where there is one.
fn update(version: Version, hops: &[u8], cost: u8) -> String {
    if !version.has_announce_ids() {
        return active(version, hops);
    }
    let ids: String = hops.iter().map(|hop| format!("{hop:02x}")).collect();
    let count = hops.len();
    match version.has_announce_compression() {
        true => format!(
            "02 {:02x} 00 00 {count:02x} {ids} 00 {cost:02x} 07",
            6 + count
        ),
        false => format!("02 {:02x} 00 {count:02x} {ids} {cost:02x} 07", 4 + count),
    }
}

#[test]
fn another_way_to_a_broadcast_leaves_it_and_what_is_read_of_it_alone() {
    for version in [
        Version::Lite05Wip,
        Version::Lite05,
        Version::Lite06,
        Version::Lite07Wip,
    ] {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let mut announced = up.origin.consume().announced();
        let mut next = || -> BroadcastConsumer {
            net.executor.run_until_idle();
            let (_, event) = announced.try_next().expect("news");
            assert!(announced.try_next().is_none(), "{version}: one change");
            event.broadcast().expect("announced")
        };
        let mut stream = announcing(&up);
        let first = match version {
            Version::Lite07Wip => "00 0d 00 00 04726f6f6d 00 01 09 00 03 07".to_owned(),
            _ => active(version, &[9]),
        };
        stream.write(&first);
        let broadcast = next();
        let track = broadcast.track("v").unwrap();
        let wish = Subscription::default().with_priority(5);
        let pending = track.subscribe(wish).unwrap();
        up.answer_track();
        let (_subscribed, _) = up.answer_subscribe();
        let _reader = net.executor.run_until(pending).unwrap();

        stream.write(&update(version, &[9, 8], 3));
        let same = next();
        assert!(same.is_clone(&broadcast), "{version}: the same publisher");
        let hops: Vec<u64> = same.info().hops.iter().map(|hop| hop.id).collect();
        assert_eq!(hops, [9, 8, 1], "{version}");
        if version.has_route_cost() {
            stream.write(&update(version, &[9, 8], 1));
            let cheaper = next();
            assert!(cheaper.is_clone(&broadcast), "{version}: another price");
            assert_eq!(cheaper.info().cost.warm, 2, "{version}");
        }
        assert!(!broadcast.is_closed(), "{version}");
        assert!(same.track("v").unwrap().is_clone(&track), "{version}");
        for kind in ["02", "06"] {
            let again = up.try_accept(kind).is_some();
            assert!(!again, "{version}: asked again by {kind}");
        }

        // What changes nothing can only mean another broadcast of the same publisher; another first hop is another publisher.
        stream.write(&update(version, &[9, 8], 1));
        let replaced = next();
        assert!(!replaced.is_clone(&broadcast), "{version}");
        assert!(broadcast.is_closed(), "{version}");
        stream.write(&update(version, &[7, 8], 1));
        assert!(!next().is_clone(&replaced), "{version}");
        assert!(up.ended().is_none(), "{version}");
    }
}

#[test]
fn nameless_publishers_behind_one_peer_are_told_apart_by_the_way() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite06);
    let mut announced = up.origin.consume().announced();
    let mut next = || -> BroadcastConsumer {
        net.executor.run_until_idle();
        let (_, event) = announced.try_next().expect("news");
        event.broadcast().expect("announced")
    };
    let mut stream = announcing(&up);
    stream.write(&active(Version::Lite06, &[0, 9]));
    let one = next();
    stream.write(&update(Version::Lite06, &[0, 9], 1));
    assert!(next().is_clone(&one), "another price");
    stream.write(&update(Version::Lite06, &[0, 8], 1));
    assert!(!next().is_clone(&one), "perhaps another publisher");
}

#[test]
fn broken_announcements_end_the_session() {
    let cases: [(Version, &str); 9] = [
        (Version::Lite04, "08 02 04726f6f6d 01 01"), // a status that does not exist
        (Version::Lite04, "09 01 04726f6f6d 01 01 00"), // trailing bytes
        (Version::Lite04, "09 01 04726f6f6d 02 09 09"), // a hop twice
        (Version::Lite05, "07 01 04ff6f6f6d 00"),    // not UTF-8
        (Version::Lite06, "01 01 00"),               // the end of nothing
        (Version::Lite06, "02 04 00 00 00 00"),      // a change of nothing
        (
            Version::Lite06,
            "00 08 04726f6f6d 00 00 00 01 01 00 01 01 00",
        ), // an end twice
        (Version::Lite06, "00 09 04726f6f6d 00 00 00 00"), // trailing bytes
        (Version::Lite05, "80010001"),               // larger than we are willing to hold
    ];
    for (version, bytes) in cases {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let mut stream = announcing(&up);
        stream.write(bytes);
        assert_eq!(up.raw.closed(), Some(3), "{version} {bytes}");
    }
}

#[test]
fn an_end_of_nothing_is_ignored_where_ends_go_by_path() {
    for version in [
        Version::Lite02,
        Version::Lite03,
        Version::Lite04,
        Version::Lite05,
    ] {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let mut stream = announcing(&up);
        match version {
            Version::Lite02 => stream.write("01 00  06 00 04726f6f6d"),
            _ => stream.write("07 00 04726f6f6d 00"),
        }
        assert!(up.ended().is_none(), "{version}");
    }
}

#[test]
fn a_reset_announce_stream_withdraws_its_routes_and_nothing_else() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let (mut announce, broadcast) = up.announce();
    announce.reset(1);
    net.executor.run_until(broadcast.closed());
    assert!(up.ended().is_none());
}

#[test]
fn too_many_announcements_end_the_session() {
    let net = Net::with_limits(Limits {
        announces: 2,
        ..Limits::default()
    });
    let up = Upstream::new(&net, Version::Lite05);
    let mut stream = announcing(&up);
    stream.write("04 01 0161 00  04 01 0162 00");
    assert!(up.ended().is_none());
    stream.write("04 01 0163 00");
    assert_eq!(up.ended(), Some(Error::BoundsExceeded));
}

#[test]
fn announcements_outside_what_is_granted_are_ignored() {
    let net = Net::new();
    let origin = net.origin(2);
    let granted = origin.scope(&[path("room/a")]).unwrap();
    let end = support::net::End {
        publish: None,
        subscribe: Some(granted),
    };
    let (session, transport, _) = net.client(Version::Lite04, &end);
    let raw = support::raw::Raw {
        executor: &net.executor,
        transport,
    };
    let mut stream = raw.accept_bidi().unwrap();
    // Interest in what may be filled, and no more.
    assert_eq!(
        stream.read(),
        ("010806726f6f6d2f6102".to_owned(), End::Open)
    );
    stream.write("05 01 0178 01 01");
    net.executor.run_until_idle();
    assert!(
        origin
            .consume()
            .request_broadcast(&path("room/a/x"))
            .is_ok()
    );
    assert!(session.close_reason().is_none());
}

/// A viewer of "v" with max latency 5 s, live.
fn viewer<'a>(up: &'a Upstream<'_>) -> (TrackSubscriber, Vec<Bidi<'a>>) {
    let (announce, broadcast) = up.announce();
    let wish = Subscription::default().with_max_latency(Duration::from_secs(5));
    let pending = broadcast.track("v").unwrap().subscribe(wish).unwrap();
    let pending = up.net.executor.spawn(pending);
    up.answer_track();
    let (stream, _) = up.answer_subscribe();
    let viewer = up.net.executor.run_until(pending).unwrap();
    (viewer, vec![announce, stream])
}

/// What reading the next group to its end gives: its frames, and how it ended.
fn drain(net: &Net, viewer: &mut TrackSubscriber) -> (u64, Vec<usize>, Result<(), Error>) {
    net.executor.run_until(async {
        let mut group = viewer.recv_group().await.unwrap().expect("a group");
        let mut sizes = Vec::new();
        loop {
            match group.read_frame().await {
                Ok(Some(frame)) => sizes.push(frame.len()),
                Ok(None) => break (group.sequence(), sizes, Ok(())),
                Err(error) => break (group.sequence(), sizes, Err(error)),
            }
        }
    })
}

#[test]
fn a_broken_group_ends_alone() {
    for version in [Version::Lite04, Version::Lite05, Version::Lite06] {
        let cases: [(&str, Error); 2] = [
            // A FIN inside a payload, and inside a header.
            ("05 6162", Error::WrongSize),
            ("80", Error::WrongSize),
        ];
        for (rest, error) in cases {
            let net = Net::new();
            let up = Upstream::new(&net, version);
            let (mut viewer, _streams) = viewer(&up);
            let time = if version.has_timestamps() && rest != "80" {
                "00"
            } else {
                ""
            };
            up.raw.uni_fin(&format!(
                "{} {} {time} {rest}",
                up.group(0, 0),
                up.frame("ok")
            ));
            let (sequence, frames, end) = drain(&net, &mut viewer);
            assert_eq!((sequence, end), (0, Err(error)), "{version} {rest}");
            assert!(frames.len() <= 1);
            up.raw.uni_fin(&(up.group(0, 1) + &up.frame("next")));
            assert_eq!(drain(&net, &mut viewer), (1, vec![4], Ok(())), "{version}");
            assert!(up.ended().is_none());
        }
    }
}

#[test]
fn a_reset_group_keeps_its_reason() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let (mut viewer, _streams) = viewer(&up);
    let mut send = up.raw.uni(&(up.group(0, 0) + &up.frame("ok")));
    net.executor.run_until_idle();
    web_transport_trait::SendStream::reset(&mut send, 0x34);
    assert_eq!(drain(&net, &mut viewer).2, Err(Error::Old));
}

#[test]
fn a_frame_beyond_the_limit_is_refused_before_it_costs_anything() {
    let net = Net::with_limits(Limits {
        max_frame: 1000,
        ..Limits::default()
    });
    let up = Upstream::new(&net, Version::Lite05);
    let (mut viewer, _streams) = viewer(&up);
    // timestamp 0, size 1001
    let mut send = up.raw.uni(&(up.group(0, 0) + "00 43e9"));
    assert_eq!(stopped(&mut send), Some(0x38));
    assert_eq!(drain(&net, &mut viewer).2, Err(Error::FrameTooLarge));
    // Declared in full: the largest number there is.
    let mut send = up.raw.uni(&(up.group(0, 1) + "00 ffffffffffffffff"));
    assert_eq!(stopped(&mut send), Some(0x38));
}

#[test]
fn an_impossible_timestamp_ends_its_group() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let (mut viewer, _streams) = viewer(&up);
    // 1 ms, then two back
    let mut send = up.raw.uni(&(up.group(0, 0) + "02 01 61  03 01 62"));
    assert!(stopped(&mut send).is_some());
    assert!(drain(&net, &mut viewer).2.is_err());
    assert!(up.ended().is_none());
}

#[test]
fn groups_nobody_asked_for_are_refused_at_once() {
    for version in Version::ALL {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let mut send = up.raw.uni(&up.group(9, 0));
        assert_eq!(
            stopped(&mut send),
            Some(if version.has_decimal_codes() { 0 } else { 1 }),
            "{version}"
        );
        assert!(up.ended().is_none());
    }
}

#[test]
fn a_group_that_comes_twice_is_taken_once() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let (mut viewer, _streams) = viewer(&up);
    up.raw.uni_fin(&(up.group(0, 0) + &up.frame("once")));
    let mut again = up.raw.uni(&(up.group(0, 0) + &up.frame("twice")));
    assert_eq!(stopped(&mut again), Some(1));
    assert_eq!(drain(&net, &mut viewer), (0, vec![4], Ok(())));
}

#[test]
fn a_group_at_the_end_fails_the_track_from_06_on() {
    for version in [Version::Lite05, Version::Lite06] {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (mut viewer, mut streams) = viewer(&up);
        // START 0, END 1
        streams[1].write("00 01 00  01 01 01");
        let mut beyond = up.raw.uni(&(up.group(0, 1) + &up.frame("x")));
        assert!(stopped(&mut beyond).is_some(), "{version}");
        let ended = net
            .executor
            .run_for(Duration::from_secs(1), viewer.recv_group());
        match version {
            Version::Lite05 => assert!(ended.is_none(), "the track goes on"),
            _ => assert_eq!(ended.unwrap().map(|_| ()), Err(Error::ProtocolViolation)),
        }
        assert!(up.ended().is_none());
    }
}

#[test]
fn an_end_below_what_came_fails_the_track_from_06_on() {
    for version in [Version::Lite05, Version::Lite06] {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (mut viewer, mut streams) = viewer(&up);
        up.raw.uni_fin(&(up.group(0, 4) + &up.frame("x")));
        assert_eq!(drain(&net, &mut viewer).0, 4);
        streams[1].write("00 01 04  01 01 04");
        if version == Version::Lite05 {
            streams[1].fin();
        }
        let ended = net
            .executor
            .run_until(viewer.recv_group())
            .map(|group| group.is_some());
        match version {
            // Early peers sent the last group instead of the one after it.
            Version::Lite05 => assert_eq!(ended, Ok(false)),
            _ => assert_eq!(ended, Err(Error::ProtocolViolation)),
        }
    }
}

#[test]
fn the_last_group_is_waited_for_whatever_came_besides() {
    use web_transport_trait::Session as _;
    // 06: START 5, END 7; group 4 came too, late. 07: START 0, END 2, one stream; group 0 is a datagram.
    for (version, start, end) in [
        (Version::Lite06, "00 01 05", "01 01 07"),
        (Version::Lite07Wip, "00 01 00", "01 02 02 01"),
    ] {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (mut viewer, mut streams) = viewer(&up);
        streams[1].write(start);
        let last = match version {
            Version::Lite06 => {
                for sequence in [5, 4] {
                    up.raw.uni_fin(&(up.group(0, sequence) + &up.frame("x")));
                    assert_eq!(drain(&net, &mut viewer).0, u64::from(sequence));
                }
                6
            }
            _ => {
                let datagram = support::raw::hex("00 00 00 6162");
                up.raw.transport.send_datagram(datagram.into()).unwrap();
                assert_eq!(drain(&net, &mut viewer).0, 0);
                1
            }
        };
        streams[1].write(end);
        streams[1].fin();
        net.executor
            .run_for(Duration::from_millis(100), std::future::pending::<()>());
        up.raw.uni_fin(&(up.group(0, last) + &up.frame("x")));
        assert_eq!(drain(&net, &mut viewer).0, u64::from(last), "{version}");
        let ended = net.executor.run_until(viewer.recv_group());
        assert!(matches!(ended, Ok(None)), "{version}");
    }
}

#[test]
fn datagrams_find_their_track_and_bad_ones_are_nobodys_business() {
    use web_transport_trait::Session as _;
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let (mut viewer, _streams) = viewer(&up);
    for bytes in ["", "00", "00 02", "09 02 00 6162"] {
        up.raw
            .transport
            .send_datagram(support::raw::hex(bytes).into())
            .unwrap();
    }
    // subscription 0, sequence 2, 200 ms, "dg"; and once more
    for _ in 0..2 {
        up.raw
            .transport
            .send_datagram(support::raw::hex("00 02 40c8 6467").into())
            .unwrap();
    }
    let datagram = net
        .executor
        .run_until(viewer.recv_datagram())
        .unwrap()
        .unwrap();
    assert_eq!((datagram.sequence, datagram.payload), (2, "dg".into()));
    assert_eq!(
        datagram.timestamp,
        Some(moq_net::Timestamp::from_millis(200))
    );
    assert!(
        net.executor
            .run_for(Duration::from_millis(10), viewer.recv_datagram())
            .is_none()
    );
    assert!(up.ended().is_none());
}

#[test]
fn frames_are_slices_of_what_the_transport_delivered() {
    use bytes::Bytes;
    use web_transport_trait::{SendStream as _, Session as _};
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let (mut viewer, _streams) = viewer(&up);
    let chunk = Bytes::from(support::raw::hex("00 02 00 00  00 03 616263  00 02 6465"));
    let mut send = net.executor.run_until(up.raw.transport.open_uni()).unwrap();
    net.executor
        .run_until(send.write_chunk(chunk.clone()))
        .unwrap();
    send.finish().unwrap();
    let (one, two) = net.executor.run_until(async {
        let mut group = viewer.recv_group().await.unwrap().unwrap();
        (
            group.read_frame().await.unwrap().unwrap(),
            group.read_frame().await.unwrap().unwrap(),
        )
    });
    assert_eq!((&one[..], &two[..]), (&b"abc"[..], &b"de"[..]));
    assert_eq!(one.as_ptr(), chunk[6..].as_ptr(), "not copied");
    assert_eq!(two.as_ptr(), chunk[11..].as_ptr(), "not copied");
}

#[test]
fn many_frames_in_one_read_wake_a_reader_once() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let (mut viewer, _streams) = viewer(&up);
    let mut send = up.raw.uni(&up.group(0, 0));
    let mut group = net
        .executor
        .run_until(viewer.recv_group())
        .unwrap()
        .unwrap();
    let reader = net.executor.spawn(async move {
        let mut frames = 0;
        while group.read_frame().await.unwrap().is_some() {
            frames += 1;
        }
        frames
    });
    net.executor.run_until_idle();
    let before = net.executor.polls();
    support::raw::write(&net.executor, &mut send, &"00 01 61".repeat(1000));
    // The session reads, the reader reads: not a poll per frame.
    assert!(
        net.executor.polls() - before <= 4,
        "{} polls",
        net.executor.polls() - before
    );
    web_transport_trait::SendStream::finish(&mut send).unwrap();
    assert_eq!(net.executor.run_until(reader), 1000);
}

#[test]
fn unfinished_frames_together_are_bounded() {
    let limits = Limits {
        max_frame: 60,
        assembly_bytes: 40,
        ..Limits::default()
    };
    let net = Net::with_limits(limits);
    let up = Upstream::new(&net, Version::Lite05);
    let (mut viewer, _streams) = viewer(&up);
    // Frames of 60 bytes, of which 40 come: two fit, the third does not.
    let part = format!("00 3c {}", "61".repeat(40));
    let mut sends: Vec<_> = (0..3)
        .map(|sequence| up.raw.uni(&(up.group(0, sequence) + &part)))
        .collect();
    assert_eq!(stopped(&mut sends[2]), Some(0x38));
    assert_eq!(stopped(&mut sends[1]), None);
    // What is finished counts no more.
    support::raw::write(&net.executor, &mut sends[0], &"61".repeat(20));
    web_transport_trait::SendStream::finish(&mut sends[0]).unwrap();
    assert_eq!(drain(&net, &mut viewer), (0, vec![60], Ok(())));
    let mut again = up.raw.uni(&(up.group(0, 3) + &part));
    assert_eq!(stopped(&mut again), None);
}

#[test]
fn nameless_routes_from_two_peers_are_two() {
    for version in [Version::Lite03, Version::Lite05, Version::Lite06] {
        let net = Net::new();
        let origin = net.origin(2);
        let end = support::net::End::subscribe(&origin);
        let peers: Vec<_> = (0..2)
            .map(|_| {
                let (session, transport, _) = net.client(version, &end);
                let raw = support::raw::Raw {
                    executor: &net.executor,
                    transport,
                };
                if version.has_setup_stream() {
                    raw.uni_fin("01 01 00");
                }
                (session, raw)
            })
            .collect();
        let mut announced = origin.consume().announced();
        let mut streams = Vec::new();
        for (_, raw) in &peers {
            let mut stream = raw.accept_bidi().expect("ANNOUNCE_REQUEST");
            stream.read();
            // Neither says who it is.
            stream.write(match version {
                Version::Lite03 => "07 01 04726f6f6d 01",
                Version::Lite05 => "02 00 01  07 01 04726f6f6d 00",
                _ => "02 00 01  00 08 04726f6f6d 00 00 00",
            });
            streams.push(stream);
        }
        net.executor.run_until_idle();
        let (_, first) = announced.try_next().expect("announced");
        let chain = |event: Announced| event.broadcast().map(|seen| seen.info().hops.clone());
        let mut chains = vec![chain(first)];
        while let Some((_, event)) = announced.try_next() {
            chains.push(chain(event));
        }
        // The later one was taken and goes; the other takes over.
        for stream in streams.iter_mut().rev() {
            stream.reset(0);
            net.executor.run_until_idle();
            while let Some((_, event)) = announced.try_next() {
                chains.push(chain(event));
            }
        }
        chains.retain(Option::is_some);
        assert!(chains.len() >= 2, "{version}: one route hid the other");
        assert_ne!(chains[0], chains[1], "{version}");
    }
}

#[test]
fn ids_of_peers_have_their_full_range() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let mut stream = announcing(&up);
    // One hop: 2^62 - 1.
    stream.write("0f 01 04726f6f6d 01 ffffffffffffffff");
    assert_eq!(
        route(&up).map(|(hops, ..)| hops),
        Some(vec![(1 << 62) - 1, 1])
    );
}

#[test]
fn a_full_chain_costs_its_announcement_and_not_the_session() {
    for version in [Version::Lite05, Version::Lite06] {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let mut stream = announcing(&up);
        let hops: Vec<u8> = (10..42).collect();
        let ids: String = hops.iter().map(|hop| format!("{hop:02x}")).collect();
        // The sender would be the thirty-third.
        stream.write(&match version {
            Version::Lite05 => format!("27 01 04726f6f6d 20 {ids}"),
            _ => format!("00 28 04726f6f6d 20 {ids} 00 00"),
        });
        assert_eq!(route(&up), None, "{version}");
        assert!(up.ended().is_none(), "{version}");
        stream.write(match version {
            Version::Lite05 => "07 01 047a6f6f6d 00",
            _ => "00 08 047a6f6f6d 00 00 00",
        });
        net.executor.run_until_idle();
        let next = up.origin.consume().request_broadcast(&path("zoom"));
        assert!(next.is_ok(), "{version}: the next one is taken");
    }
}
