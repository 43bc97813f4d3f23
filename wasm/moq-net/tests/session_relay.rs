//! What holds across a relay: one upstream for everybody, no echo, nothing left behind.

mod support;

use std::time::Duration;

use moq_net::{BroadcastInfo, Error, Subscription, Timescale, Timestamp, TrackInfo, Version};
use support::net::{Connection, End, Net, path};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn wish() -> Subscription {
    Subscription::default().with_max_latency(Duration::from_secs(5))
}

#[test]
fn many_viewers_share_one_subscription() {
    for version in Version::ALL {
        let net = Net::new();
        let (publisher, relay) = (net.origin(1), net.origin(2));
        let up = net.connect(version, &End::publish(&publisher), &End::subscribe(&relay));
        let viewers: Vec<_> = (3..8)
            .map(|id| {
                let origin = net.origin(id);
                let down = net.connect(version, &End::subscribe(&origin), &End::publish(&relay));
                (origin, down)
            })
            .collect();
        let broadcast = publisher.create_broadcast(&path("b")).unwrap();
        let track = broadcast.create_track("v", TrackInfo::default()).unwrap();
        net.executor.run_until_idle();
        let before = up.server_end.opened().0;
        let mut readers: Vec<_> = viewers
            .iter()
            .map(|(origin, _)| {
                net.executor.run_until(async {
                    let seen = origin
                        .consume()
                        .announced_broadcast(&path("b"))
                        .await
                        .unwrap();
                    seen.track("v")
                        .unwrap()
                        .subscribe(wish())
                        .unwrap()
                        .await
                        .unwrap()
                })
            })
            .collect();
        net.executor.run_until_idle();
        track.write_frame("x").unwrap();
        for reader in &mut readers {
            let frame = net.executor.run_until(async {
                reader
                    .recv_group()
                    .await
                    .unwrap()
                    .unwrap()
                    .read_frame()
                    .await
                    .unwrap()
            });
            assert_eq!(frame, Some("x".into()), "{version}");
        }
        // One SUBSCRIBE, and one TRACK where there is such a thing.
        let asked = up.server_end.opened().0 - before;
        assert_eq!(
            asked,
            1 + u64::from(version.has_track_stream()),
            "{version}"
        );
        assert_eq!(
            up.client_end.opened().1 - u64::from(version.has_setup_stream()),
            1,
            "{version}: one group"
        );
    }
}

#[test]
fn nothing_is_announced_or_served_back_to_where_it_came_from() {
    for version in Version::ALL {
        let net = Net::new();
        let (ours, relay) = (net.origin(1), net.origin(2));
        let one = net.connect(version, &End::both(&ours), &End::both(&relay));
        let other = net.origin(3);
        let _two = net.connect(version, &End::both(&other), &End::both(&relay));
        let mut announced = ours.consume().announced();
        let broadcast = ours.create_broadcast(&path("mine")).unwrap();
        let _track = broadcast.create_track("v", TrackInfo::default()).unwrap();
        let theirs = other.create_broadcast(&path("theirs")).unwrap();
        let mut seen = Vec::new();
        while let Some(Some((path, event))) = net
            .executor
            .run_for(Duration::from_millis(100), announced.next())
        {
            let hops = event
                .broadcast()
                .map(|broadcast| broadcast.info().hops.len());
            seen.push((path.as_str().to_owned(), hops.is_some_and(|hops| hops > 0)));
        }
        seen.sort();
        // Once from here, once from there, and no echo.
        assert_eq!(
            seen,
            [("mine".to_owned(), false), ("theirs".to_owned(), true)],
            "{version}"
        );
        drop((theirs, one));
    }
}

#[test]
fn a_subscriber_may_name_a_path_that_was_never_announced() {
    let net = Net::new();
    let relay = net.origin(2);
    let (_session, transport, _) = net.client(Version::Lite04, &End::publish(&relay));
    let raw = support::raw::Raw {
        executor: &net.executor,
        transport,
    };
    let ask = "02 0d 00 04726f6f6d 0176 05 00 00 00 00";
    // Nobody serves it.
    assert_eq!(
        raw.bidi(ask).read(),
        (String::new(), support::raw::End::Reset(0x36))
    );

    let mut handler = relay.dynamic();
    let runtime = net.runtime.clone();
    let serving = net.executor.spawn(async move {
        let request = handler.requested_broadcast().await.unwrap();
        let broadcast = BroadcastInfo::new().produce(&runtime);
        let track = broadcast.create_track("v", TrackInfo::default()).unwrap();
        track.write_frame("x").unwrap();
        request.accept(&broadcast);
        (handler, broadcast, track)
    });
    let mut stream = raw.bidi("02 0d 01 04726f6f6d 0176 05 00 00 00 00");
    assert_eq!(
        stream.read(),
        ("00050500000000".to_owned(), support::raw::End::Open)
    );
    assert_eq!(
        raw.read_uni(),
        Some(("000201000178".to_owned(), support::raw::End::Fin))
    );
    drop(net.executor.run_until(serving));
}

#[test]
fn a_fetch_that_fails_half_way_fails_through_the_relay() {
    for version in [Version::Lite05Wip, Version::Lite05, Version::Lite06] {
        let net = Net::new();
        let (publisher, relay, viewer) = (net.origin(1), net.origin(2), net.origin(3));
        let _up = net.connect(version, &End::publish(&publisher), &End::subscribe(&relay));
        let _down = net.connect(version, &End::subscribe(&viewer), &End::publish(&relay));
        let broadcast = publisher.create_broadcast(&path("b")).unwrap();
        let info = TrackInfo::default().with_timescale(Timescale::MILLI);
        let track = broadcast.create_track("v", info).unwrap();
        let group = track.create_group(0).unwrap();
        group.write_timed(Timestamp::from_millis(1), "one").unwrap();
        track.append_group().unwrap().finish().unwrap();
        let mut fetched = net.executor.run_until(async {
            let seen = viewer
                .consume()
                .announced_broadcast(&path("b"))
                .await
                .unwrap();
            seen.track("v")
                .unwrap()
                .fetch_group(0, None)
                .unwrap()
                .await
                .unwrap()
        });
        assert_eq!(
            net.executor.run_until(fetched.read_frame()),
            Ok(Some("one".into())),
            "{version}"
        );
        group.abort(Error::App(9)).unwrap();
        assert_eq!(
            net.executor.run_until(fetched.read_frame()),
            Err(Error::App(9)),
            "{version}"
        );
        // Nobody keeps the half of it as if it were whole.
        let again = net.executor.run_until(async {
            let seen = viewer
                .consume()
                .announced_broadcast(&path("b"))
                .await
                .unwrap();
            seen.track("v")
                .unwrap()
                .fetch_group(0, None)
                .unwrap()
                .await
                .map(|_| ())
        });
        assert_eq!(again, Err(Error::NotFound), "{version}");
    }
}

#[test]
fn nothing_is_left_behind_when_everybody_is_gone() {
    for version in Version::ALL {
        let net = Net::new();
        let start = net.runtime.stats();
        for round in 0..20_u64 {
            let (publisher, relay, viewer) = (net.origin(1), net.origin(2), net.origin(3));
            let up = net.connect(version, &End::publish(&publisher), &End::subscribe(&relay));
            let down = net.connect(version, &End::subscribe(&viewer), &End::publish(&relay));
            let broadcast = publisher.create_broadcast(&path("b")).unwrap();
            let track = broadcast.create_track("v", TrackInfo::default()).unwrap();
            let seen = net.executor.run_until(async {
                viewer
                    .consume()
                    .announced_broadcast(&path("b"))
                    .await
                    .unwrap()
            });
            let wanted = seen.track("v").unwrap().subscribe(wish()).unwrap();
            let mut reader = net.executor.run_until(wanted).unwrap();
            track.write_frame(round.to_string()).unwrap();
            net.executor.run_until(reader.recv_group()).unwrap();
            // Some leave before they have an answer.
            let _missing = seen.track("missing").unwrap().subscribe(wish());
            if version.has_fetch() {
                let _fetch = seen.track("v").unwrap().fetch_group(77, None);
                net.executor.run_until_idle();
            }
            match round % 3 {
                0 => drop(up),
                1 => up.server.close(Error::App(1), ""),
                _ => down.client_end.kill(),
            }
            net.executor.run_until_idle();
        }
        net.executor.run_until_idle();
        assert_eq!(net.executor.live(), 0, "{version}: every driver is done");
        let end = moq_net::Stats {
            evicted_groups: start.evicted_groups,
            ..net.runtime.stats()
        };
        assert_eq!(end, start, "{version}");
    }
}

#[test]
fn a_route_gets_dearer_with_every_link_whatever_the_version() {
    for version in [
        Version::Lite04,
        Version::Lite05Wip,
        Version::Lite05,
        Version::Lite06,
    ] {
        let net = Net::new();
        let (publisher, near, far) = (net.origin(1), net.origin(2), net.origin(3));
        let _first = net.connect(version, &End::publish(&publisher), &End::subscribe(&near));
        let _second = net.connect(version, &End::publish(&near), &End::subscribe(&far));
        let _broadcast = publisher.create_broadcast(&path("b")).unwrap();
        for (origin, cost) in [(near, 1), (far, 2)] {
            let seen = origin.consume();
            let seen = net
                .executor
                .run_until(seen.announced_broadcast(&path("b")))
                .unwrap();
            assert_eq!(seen.info().cost.warm, cost, "{version}");
        }
    }
}

#[test]
fn a_fetch_from_inside_a_group_gives_the_same_on_every_version_that_can_fetch() {
    for version in [Version::Lite05Wip, Version::Lite05, Version::Lite06] {
        let net = Net::new();
        let (publisher, relay, viewer) = (net.origin(1), net.origin(2), net.origin(3));
        let _up = net.connect(version, &End::publish(&publisher), &End::subscribe(&relay));
        let _down = net.connect(version, &End::subscribe(&viewer), &End::publish(&relay));
        let broadcast = publisher.create_broadcast(&path("b")).unwrap();
        let info = TrackInfo::default().with_timescale(Timescale::MILLI);
        let track = broadcast.create_track("v", info).unwrap();
        let group = track.create_group(5).unwrap();
        for (index, text) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let time = Timestamp::from_millis(10 + index as u64);
            group.write_timed(time, text).unwrap();
        }
        group.finish().unwrap();
        let origin = viewer.consume();
        let seen = net
            .executor
            .run_until(origin.announced_broadcast(&path("b")))
            .unwrap();
        let reader = seen.track("v").unwrap();
        // Asked of the relay first, then from what is cached.
        for from in [2, 2, 0, 4, 9] {
            let wish = moq_net::Fetch::default().with_frame_start(from);
            let got = net.executor.run_until(async {
                let mut group = reader.fetch_group(5, wish).unwrap().await.unwrap();
                let mut frames = Vec::new();
                while let Some(mut frame) = group.next_frame().await.unwrap() {
                    let time = frame.timestamp().unwrap().value;
                    let text = String::from_utf8(frame.read_all().await.unwrap().to_vec());
                    frames.push((group.index() - 1, time, text.unwrap()));
                }
                frames
            });
            let whole = [(0, 10, "a"), (1, 11, "b"), (2, 12, "c"), (3, 13, "d")];
            let expected: Vec<_> = whole
                .into_iter()
                .map(|(index, time, text)| (index, time, text.to_owned()))
                .skip(from as usize)
                .collect();
            assert_eq!(got, expected, "{version} from {from}");
        }
    }
}

#[test]
fn whoever_hears_of_a_broadcast_finds_somebody_to_serve_its_tracks() {
    for version in Version::ALL {
        let net = Net::new();
        let (publisher, viewer) = (net.origin(1), net.origin(2));
        let mut announced = viewer.consume().announced();
        let eager = net.executor.spawn(async move {
            let (_, event) = announced.next().await.expect("announced");
            let broadcast = event.broadcast().expect("active");
            // In the very poll that brought the news.
            let track = broadcast.track("v");
            (broadcast, track.map(|_| ()))
        });
        let _link = net.connect(version, &End::publish(&publisher), &End::subscribe(&viewer));
        let broadcast = publisher.create_broadcast(&path("b")).unwrap();
        let _track = broadcast.create_track("v", TrackInfo::default()).unwrap();
        let (_seen, found) = net.executor.run_until(eager);
        assert_eq!(found, Ok(()), "{version}");
    }
}

#[test]
fn what_a_session_carries_is_counted_on_both_ends() {
    for version in Version::ALL {
        let net = Net::new();
        let (publisher, relay, far) = (net.origin(1), net.origin(2), net.origin(3));
        let up = net.connect(version, &End::publish(&publisher), &End::subscribe(&relay));
        let down = net.connect(version, &End::subscribe(&far), &End::publish(&relay));
        let broadcast = publisher.create_broadcast(&path("b")).unwrap();
        let info = TrackInfo::default().with_cache(Duration::from_secs(60));
        let tracks = ["v", "w"].map(|name| broadcast.create_track(name, info).unwrap());
        let found = net
            .executor
            .run_until(async { far.consume().announced_broadcast(&path("b")).await })
            .unwrap();
        let readers = ["v", "w"].map(|name| {
            let pending = found.track(name).unwrap().subscribe(wish()).unwrap();
            net.executor.run_until(pending).unwrap()
        });
        // Two frames in one group, one of them too large to arrive whole; and one that is empty.
        let group = tracks[0].append_group().unwrap();
        group.write_frame(vec![1; 300_000]).unwrap();
        group.write_frame("small").unwrap();
        group.finish().unwrap();
        tracks[1].write_frame("").unwrap();
        net.executor.run_until_idle();
        let mut fetches = 0;
        if version.has_fetch() {
            // Held here already: it goes over the second connection only.
            let origin = net.origin(4);
            let viewer = net.connect(version, &End::subscribe(&origin), &End::publish(&relay));
            let found = net
                .executor
                .run_until(async { origin.consume().announced_broadcast(&path("b")).await })
                .unwrap();
            let pending = found.track("v").unwrap().fetch_group(0, None).unwrap();
            let mut fetched = net.executor.run_until(pending).unwrap();
            while net
                .executor
                .run_until(fetched.read_frame())
                .unwrap()
                .is_some()
            {}
            let (sent, received) = (
                viewer.server.traffic().sent,
                viewer.client.traffic().received,
            );
            assert_eq!(sent, received, "{version}");
            assert_eq!((sent.fetches, sent.subscriptions), (1, 0), "{version}");
            assert_eq!(
                (sent.groups, sent.frames, sent.bytes),
                (1, 2, 300_005),
                "{version}"
            );
            fetches += 1;
        }
        let flows = || {
            [
                up.client.traffic().sent,
                up.server.traffic().received,
                down.server.traffic().sent,
                down.client.traffic().received,
            ]
        };
        for flow in flows() {
            assert_eq!(
                (flow.groups, flow.frames, flow.bytes),
                (2, 3, 300_005),
                "{version}"
            );
            assert_eq!((flow.subscriptions, flow.broadcasts), (2, 1), "{version}");
            assert_eq!(
                (flow.subscriptions_ended, flow.broadcasts_ended),
                (0, 0),
                "{version}"
            );
            assert_eq!(flow.fetches, 0, "{version}, {fetches} elsewhere");
        }
        let nothing = moq_net::Flow::default();
        assert_eq!(up.client.traffic().received, nothing, "{version}");
        assert_eq!(up.server.traffic().sent, nothing, "{version}");
        let [first, second] = readers;
        drop((first, found));
        net.executor.advance(Duration::from_secs(10));
        for flow in flows() {
            assert_eq!(
                (flow.subscriptions_ended, flow.broadcasts_ended),
                (1, 0),
                "{version}"
            );
        }
        drop(second);
        net.executor.advance(Duration::from_secs(10));
        for flow in flows() {
            assert_eq!(
                (flow.subscriptions_ended, flow.broadcasts_ended),
                (2, 1),
                "{version}"
            );
        }
    }
}

/// How a publisher can leave in the middle of a track.
type Departure = (&'static str, fn(&Connection));

const DEPARTURES: [Departure; 6] = [
    ("killed", |up| up.client_end.kill()),
    ("closed", |up| up.client.close(Error::Closed, "")),
    ("closed with a code", |up| {
        up.client.close(Error::App(7), "")
    }),
    ("turned out", |up| up.server.close(Error::Unauthorized, "")),
    ("moved", |up| up.server.close(Error::GoingAway, "")),
    ("misbehaved", |up| {
        up.server.close(Error::ProtocolViolation, "")
    }),
];

#[test]
fn readers_of_a_publisher_that_is_gone_hear_that_it_was_dropped() {
    for version in Version::ALL {
        for (how, depart) in DEPARTURES {
            let net = Net::new();
            let (publisher, relay, viewer) = (net.origin(1), net.origin(2), net.origin(3));
            let up = net.connect(version, &End::publish(&publisher), &End::subscribe(&relay));
            let _down = net.connect(version, &End::subscribe(&viewer), &End::publish(&relay));
            let broadcast = publisher.create_broadcast(&path("b")).unwrap();
            let track = broadcast.create_track("v", TrackInfo::default()).unwrap();
            let (mut reader, mut group) = net.executor.run_until(async {
                let seen = viewer.consume().announced_broadcast(&path("b")).await;
                let pending = seen.unwrap().track("v").unwrap().subscribe(wish()).unwrap();
                let mut reader = pending.await.unwrap();
                let writing = track.append_group().unwrap();
                writing.write_frame("half").unwrap();
                let mut group = reader.recv_group().await.unwrap().unwrap();
                assert_eq!(group.read_frame().await.unwrap(), Some("half".into()));
                (reader, (group, writing))
            });
            depart(&up);
            let of_group = net.executor.run_until(group.0.read_frame());
            assert_eq!(of_group, Err(Error::Dropped), "{version}, {how}: the group");
            let of_track = net.executor.run_until(reader.recv_group()).map(|_| ());
            assert_eq!(of_track, Err(Error::Dropped), "{version}, {how}: the track");
        }
    }
}

#[test]
fn a_code_of_the_application_crosses_a_relay() {
    for version in Version::ALL {
        let net = Net::new();
        let (publisher, relay, viewer) = (net.origin(1), net.origin(2), net.origin(3));
        let _up = net.connect(version, &End::publish(&publisher), &End::subscribe(&relay));
        let _down = net.connect(version, &End::subscribe(&viewer), &End::publish(&relay));
        let broadcast = publisher.create_broadcast(&path("b")).unwrap();
        let track = broadcast.create_track("v", TrackInfo::default()).unwrap();
        let (mut reader, mut group) = net.executor.run_until(async {
            let seen = viewer.consume().announced_broadcast(&path("b")).await;
            let pending = seen.unwrap().track("v").unwrap().subscribe(wish()).unwrap();
            let mut reader = pending.await.unwrap();
            let writing = track.append_group().unwrap();
            writing.write_frame("half").unwrap();
            let mut group = reader.recv_group().await.unwrap().unwrap();
            assert_eq!(group.read_frame().await.unwrap(), Some("half".into()));
            writing.abort(Error::App(9)).unwrap();
            (reader, group)
        });
        let of_group = net.executor.run_until(group.read_frame());
        assert_eq!(of_group, Err(Error::App(9)), "{version}");
        track.abort(Error::App(7)).unwrap();
        let of_track = net.executor.run_until(reader.recv_group()).map(|_| ());
        assert_eq!(of_track, Err(Error::App(7)), "{version}");
    }
}
