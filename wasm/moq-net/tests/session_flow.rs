//! Sessions end to end: a publisher, a relay (two sessions on one origin), a viewer, on every version.

mod support;

use std::time::Duration;

use bytes::Bytes;
use moq_net::{
    Announced, BroadcastConsumer, Error, OriginProducer, Subscription, Timescale, Timestamp,
    TrackInfo, TrackSubscriber, Version,
};
use support::net::{Connection, End, Net, path};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A publisher, a relay and a viewer.
struct Chain {
    net: Net,
    publisher: OriginProducer,
    viewer: OriginProducer,
    up: Connection,
    down: Connection,
}

impl Chain {
    fn new(version: Version) -> Self {
        Self::mixed(version, version)
    }

    fn mixed(up: Version, down: Version) -> Self {
        let net = Net::new();
        let publisher = net.origin(1);
        let relay = net.origin(2);
        let viewer = net.origin(3);
        let up = net.connect(up, &End::publish(&publisher), &End::subscribe(&relay));
        let down = net.connect(down, &End::subscribe(&viewer), &End::publish(&relay));
        Self {
            net,
            publisher,
            viewer,
            up,
            down,
        }
    }

    /// Waits for the broadcast at the viewer.
    fn announced(&self, name: &str) -> BroadcastConsumer {
        let origin = self.viewer.consume();
        let broadcast = self
            .net
            .executor
            .run_until(origin.announced_broadcast(&path(name)));
        broadcast.expect("announced")
    }

    fn subscribe(&self, broadcast: &BroadcastConsumer, track: &str) -> TrackSubscriber {
        let wish = Subscription::default().with_max_latency(Duration::from_secs(5));
        let pending = broadcast
            .track(track)
            .expect("served")
            .subscribe(wish)
            .expect("open");
        self.net.executor.run_until(pending).expect("subscribed")
    }
}

/// The frames of the next group.
async fn next_group(track: &mut TrackSubscriber) -> Option<(u64, Vec<Bytes>)> {
    let mut group = track.recv_group().await.expect("track lives")?;
    let mut frames = Vec::new();
    while let Some(frame) = group.read_frame().await.expect("group is whole") {
        frames.push(frame);
    }
    Some((group.sequence(), frames))
}

const VERSIONS: [Version; 8] = Version::ALL;

#[test]
fn groups_travel_from_a_publisher_through_a_relay_to_a_viewer_until_the_track_ends() {
    for version in VERSIONS {
        let chain = Chain::new(version);
        let broadcast = chain
            .publisher
            .create_broadcast(&path("room/alice"))
            .unwrap();
        let track = broadcast
            .create_track("data", TrackInfo::default())
            .unwrap();
        let seen = chain.announced("room/alice");
        let mut viewer = chain.subscribe(&seen, "data");

        let group = track.append_group().unwrap();
        group.write_frame("hello").unwrap();
        chain.net.executor.run_until_idle();
        group.write_frame("world").unwrap();
        group.finish().unwrap();
        let got = chain.net.executor.run_until(next_group(&mut viewer));
        assert_eq!(
            got,
            Some((0, vec!["hello".into(), "world".into()])),
            "{version}"
        );

        track.write_frame("again").unwrap();
        track.finish().unwrap();
        let got = chain.net.executor.run_until(next_group(&mut viewer));
        assert_eq!(got, Some((1, vec!["again".into()])), "{version}");
        assert_eq!(
            chain.net.executor.run_until(next_group(&mut viewer)),
            None,
            "{version}"
        );
        assert_eq!(
            chain.net.executor.run_until(viewer.finished()),
            Ok(2),
            "{version}"
        );
        assert!(chain.up.client.close_reason().is_none());
        assert!(chain.down.client.close_reason().is_none());
    }
}

#[test]
fn announcements_come_and_go_with_their_broadcast() {
    for version in VERSIONS {
        let chain = Chain::new(version);
        let mut announced = chain.viewer.consume().announced();
        let broadcast = chain.publisher.create_broadcast(&path("a")).unwrap();
        let (name, event) = chain.net.executor.run_until(announced.next()).unwrap();
        assert_eq!(
            (name, matches!(event, Announced::Active(_))),
            (path("a"), true),
            "{version}"
        );
        drop(broadcast);
        let (name, event) = chain.net.executor.run_until(announced.next()).unwrap();
        assert_eq!(
            (name, matches!(event, Announced::Ended)),
            (path("a"), true),
            "{version}"
        );
    }
}

#[test]
fn timestamps_arrive_where_the_version_carries_them() {
    for version in VERSIONS {
        let chain = Chain::new(version);
        let broadcast = chain.publisher.create_broadcast(&path("b")).unwrap();
        let scale = Timescale::MICRO;
        let track = broadcast
            .create_track("v", TrackInfo::default().with_timescale(scale))
            .unwrap();
        let seen = chain.announced("b");
        let mut viewer = chain.subscribe(&seen, "v");
        let group = track.append_group().unwrap();
        for micros in [1_000_000, 1_033_333, 1_016_666] {
            group
                .write_timed(Timestamp::from_micros(micros), "x")
                .unwrap();
        }
        group.finish().unwrap();
        let times = chain.net.executor.run_until(async {
            let mut group = viewer.recv_group().await.unwrap().unwrap();
            let mut times = Vec::new();
            while let Some(frame) = group.next_frame().await.unwrap() {
                times.push(frame.timestamp().map(|time| (time.value, time.scale)));
            }
            times
        });
        let expected = [1_000_000, 1_033_333, 1_016_666]
            .map(|t| version.has_timestamps().then_some((t, scale)));
        assert_eq!(times, expected, "{version}");
    }
}

#[test]
fn an_untimed_track_has_milliseconds_of_its_own_where_the_wire_insists_on_time() {
    let chain = Chain::new(Version::Lite05);
    let broadcast = chain.publisher.create_broadcast(&path("b")).unwrap();
    let track = broadcast.create_track("v", TrackInfo::default()).unwrap();
    let seen = chain.announced("b");
    let mut viewer = chain.subscribe(&seen, "v");
    assert_eq!(viewer.info().timescale, Some(Timescale::MILLI));
    chain.net.executor.advance(Duration::from_millis(250));
    track.write_frame("x").unwrap();
    let time = chain.net.executor.run_until(async {
        let mut group = viewer.recv_group().await.unwrap().unwrap();
        group.next_frame().await.unwrap().unwrap().timestamp()
    });
    assert_eq!(time, Some(Timestamp::from_millis(250)));
}

#[test]
fn a_big_frame_is_readable_before_it_is_complete_and_never_copied_into_one() {
    let chain = Chain::new(Version::Lite05);
    let broadcast = chain.publisher.create_broadcast(&path("b")).unwrap();
    let track = broadcast.create_track("v", TrackInfo::default()).unwrap();
    let seen = chain.announced("b");
    let mut viewer = chain.subscribe(&seen, "v");
    let group = track.append_group().unwrap();
    let frame = group.create_frame(3_000_000).unwrap();
    frame.write(vec![7_u8; 1_000_000]).unwrap();
    let mut reading = chain.net.executor.run_until(async {
        let mut group = viewer.recv_group().await.unwrap().unwrap();
        group.next_frame().await.unwrap().unwrap()
    });
    assert_eq!(reading.size(), 3_000_000);
    let mut size = 0;
    while size < 1_000_000 {
        size += chain
            .net
            .executor
            .run_until(reading.read_chunk())
            .unwrap()
            .unwrap()
            .len();
    }
    frame.write(vec![8_u8; 2_000_000]).unwrap();
    group.finish().unwrap();
    let rest = chain.net.executor.run_until(async {
        let mut size = 0;
        while let Some(chunk) = reading.read_chunk().await.unwrap() {
            size += chunk.len();
        }
        size
    });
    assert_eq!(size + rest, 3_000_000);
}

#[test]
fn a_track_nobody_has_fails_the_subscription_and_nothing_else() {
    for version in VERSIONS {
        let chain = Chain::new(version);
        let broadcast = chain.publisher.create_broadcast(&path("b")).unwrap();
        let seen = chain.announced("b");
        let error = chain.net.executor.run_until(async {
            let pending = seen.track("missing").unwrap().subscribe(None).unwrap();
            match pending.await {
                Err(error) => error,
                Ok(mut track) => track.recv_group().await.map(|_| ()).unwrap_err(),
            }
        });
        assert_eq!(error, Error::NotFound, "{version}");
        let track = broadcast
            .create_track("there", TrackInfo::default())
            .unwrap();
        let mut viewer = chain.subscribe(&seen, "there");
        track.write_frame("x").unwrap();
        assert!(
            chain
                .net
                .executor
                .run_until(next_group(&mut viewer))
                .is_some(),
            "{version}"
        );
    }
}

#[test]
fn past_groups_are_fetched_through_the_relay_without_a_subscription() {
    for version in VERSIONS {
        let chain = Chain::new(version);
        let broadcast = chain.publisher.create_broadcast(&path("b")).unwrap();
        let track = broadcast.create_track("v", TrackInfo::default()).unwrap();
        for text in ["zero", "one", "two"] {
            track.write_frame(text).unwrap();
        }
        let seen = chain.announced("b");
        let fetched = chain.net.executor.run_until(async {
            let track = seen.track("v").unwrap();
            let mut group = track.fetch_group(1, None)?.await?;
            group.read_frame().await
        });
        match version.has_fetch() {
            true => assert_eq!(fetched, Ok(Some("one".into())), "{version}"),
            false => assert_eq!(fetched, Err(Error::Version), "{version}"),
        }
        assert!(
            track.subscription().is_none(),
            "{version}: a fetch subscribes to nothing"
        );
    }
}

#[test]
fn datagrams_stay_datagrams_and_are_dropped_where_there_are_none() {
    for version in VERSIONS {
        let chain = Chain::new(version);
        let broadcast = chain.publisher.create_broadcast(&path("b")).unwrap();
        let track = broadcast.create_track("v", TrackInfo::default()).unwrap();
        let seen = chain.announced("b");
        let mut viewer = chain.subscribe(&seen, "v");
        chain.net.executor.run_until_idle();
        let streams = chain.up.client_end.opened().1;
        track.write_datagram("ping", None).unwrap();
        chain.net.executor.run_until_idle();
        let got = chain
            .net
            .executor
            .run_for(Duration::from_secs(1), viewer.recv_datagram());
        match version.has_datagrams() {
            true => {
                let datagram = got.unwrap().unwrap().unwrap();
                assert_eq!(
                    (datagram.sequence, datagram.payload),
                    (0, "ping".into()),
                    "{version}"
                );
            }
            false => assert!(got.is_none(), "{version}"),
        }
        assert_eq!(
            chain.up.client_end.opened().1,
            streams,
            "{version}: never a stream"
        );
    }
}

#[test]
fn versions_on_both_sides_of_a_relay_may_differ() {
    for up in VERSIONS {
        for down in VERSIONS {
            // A TRACK question below cannot be answered above before somebody subscribes.
            if up.has_fetch_ok() && down.has_track_stream() {
                continue;
            }
            let chain = Chain::mixed(up, down);
            let broadcast = chain.publisher.create_broadcast(&path("b")).unwrap();
            let track = broadcast.create_track("v", TrackInfo::default()).unwrap();
            let seen = chain.announced("b");
            let mut viewer = chain.subscribe(&seen, "v");
            chain.net.executor.run_until_idle();
            track.write_frame("x").unwrap();
            let got = chain.net.executor.run_until(next_group(&mut viewer));
            assert_eq!(got, Some((0, vec!["x".into()])), "{up} to {down}");
        }
    }
}

#[test]
fn the_end_of_a_session_ends_what_came_by_it_with_its_reason() {
    for version in VERSIONS {
        let chain = Chain::new(version);
        let broadcast = chain.publisher.create_broadcast(&path("b")).unwrap();
        let _track = broadcast.create_track("v", TrackInfo::default()).unwrap();
        let seen = chain.announced("b");
        let mut viewer = chain.subscribe(&seen, "v");
        let mut announced = chain.viewer.consume().announced();
        chain.net.executor.run_until(announced.next()).unwrap();

        chain.down.server.close(Error::App(7), "enough");
        let executor = &chain.net.executor;
        assert_eq!(
            executor.run_until(viewer.recv_group()).map(|_| ()),
            Err(Error::Session(Error::App(7).into())),
            "{version}"
        );
        assert_eq!(
            executor.run_until(chain.down.client.closed()),
            Error::App(7)
        );
        let close = chain.down.client.close_reason().unwrap();
        assert_eq!(
            (close.code, close.reason.as_str(), close.local),
            (Some(0x47), "enough", false)
        );
        assert!(matches!(
            executor.run_until(announced.next()),
            Some((_, Announced::Ended))
        ));
        executor.run_until(seen.closed());
    }
}

#[test]
fn dropping_every_handle_closes_the_session_cleanly() {
    for version in VERSIONS {
        let net = Net::new();
        let (a, b) = (net.origin(1), net.origin(2));
        let Connection { client, server, .. } =
            net.connect(version, &End::both(&a), &End::both(&b));
        drop(client);
        assert_eq!(net.executor.run_until(server.closed()), Error::Closed);
        net.executor.run_until_idle();
        assert_eq!(net.executor.live(), 0, "{version}: both drivers are done");
    }
}

#[test]
fn an_idle_session_does_nothing() {
    for version in VERSIONS {
        let chain = Chain::new(version);
        chain.net.executor.advance(Duration::from_secs(20));
        let polls = chain.net.executor.polls();
        chain.net.executor.advance(Duration::from_secs(100));
        // Four drivers, at most two polls a second each.
        let spent = chain.net.executor.polls() - polls;
        assert!(spent <= 800, "{version}: {spent} polls");
    }
}

#[test]
fn a_peer_that_said_why_before_its_transport_was_lost_is_believed() {
    for version in Version::ALL {
        for error in [Error::Unauthorized, Error::GoingAway] {
            let net = Net::new();
            let (ours, theirs) = (net.origin(1), net.origin(2));
            let link = net.connect(version, &End::both(&ours), &End::both(&theirs));
            link.server.revoke(error.clone());
            net.executor.run_until_idle();
            assert_eq!(link.client.close_reason(), None, "{version}: it lives");
            link.server_end.kill();
            let ended = net.executor.run_until(link.client.closed());
            // The wip of 05 has no word for draining.
            let is_told = error != Error::GoingAway || version != Version::Lite05Wip;
            match is_told {
                true => assert_eq!(ended, error, "{version}"),
                false => assert!(matches!(ended, Error::Transport(_)), "{version}: {ended}"),
            }
        }
        // What was said long before explains nothing.
        let net = Net::new();
        let (ours, theirs) = (net.origin(1), net.origin(2));
        let link = net.connect(version, &End::both(&ours), &End::both(&theirs));
        link.server.revoke(Error::Unauthorized);
        net.executor.run_until_idle();
        net.executor.advance(Duration::from_secs(3));
        link.server_end.kill();
        let ended = net.executor.run_until(link.client.closed());
        assert!(matches!(ended, Error::Transport(_)), "{version}: {ended}");
    }
}
