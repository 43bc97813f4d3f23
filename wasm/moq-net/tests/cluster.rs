//! Relays that share everything with each other.

mod support;

use std::time::Duration;

use moq_net::{
    Announced, BroadcastConsumer, BroadcastPublish, OriginProducer, Subscription, TrackInfo,
    TrackProducer, TrackSubscriber, Version,
};
use support::net::{End, Net, path};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn publish(origin: &OriginProducer, text: &str) -> (BroadcastPublish, TrackProducer) {
    let broadcast = origin.create_broadcast(&path(text)).unwrap();
    let info = TrackInfo::default().with_cache(Duration::from_secs(60));
    let track = broadcast.create_track("v", info).unwrap();
    (broadcast, track)
}

async fn subscribe(broadcast: &BroadcastConsumer) -> TrackSubscriber {
    let wish = Subscription::default().with_max_latency(Duration::from_secs(5));
    let pending = broadcast.track("v").unwrap().subscribe(wish).unwrap();
    pending.await.expect("served")
}

async fn frame(reader: &mut TrackSubscriber) -> Vec<u8> {
    let mut group = reader.recv_group().await.unwrap().expect("a group");
    group.read_frame().await.unwrap().expect("a frame").to_vec()
}

#[test]
fn each_hop_of_a_chain_has_one_subscription() {
    for version in Version::ALL {
        let net = Net::new();
        let relays: Vec<_> = (1..=3).map(|id| net.origin(id)).collect();
        let links = [
            net.connect(version, &End::both(&relays[1]), &End::both(&relays[0])),
            net.connect(version, &End::both(&relays[2]), &End::both(&relays[1])),
        ];
        let publisher = net.origin(10);
        let _up = net.connect(version, &End::publish(&publisher), &End::both(&relays[0]));
        let (_broadcast, track) = publish(&publisher, "room");
        let viewers: Vec<_> = (20..23)
            .map(|id| {
                let origin = net.origin(id);
                let end = End::subscribe(&origin);
                (net.connect(version, &end, &End::both(&relays[2])), origin)
            })
            .collect();
        net.executor.run_until_idle();
        let asked = |end: usize| links[end].client_end.opened().0;
        let before = [asked(0), asked(1)];
        let mut readers: Vec<_> = viewers
            .iter()
            .map(|(_, origin)| {
                net.executor.run_until(async {
                    let origin = origin.consume();
                    let found = origin.announced_broadcast(&path("room")).await.unwrap();
                    subscribe(&found).await
                })
            })
            .collect();
        track.write_frame("x").unwrap();
        for reader in &mut readers {
            assert_eq!(net.executor.run_until(frame(reader)), b"x", "{version}");
        }
        let each = 1 + u64::from(version.has_track_stream());
        let asked = [asked(0) - before[0], asked(1) - before[1]];
        assert_eq!(asked, [each, each], "{version}");
    }
}

/// A publisher that is dead without the relay knowing, and its successor under another id.
#[test]
fn a_new_publisher_takes_a_path_from_a_dead_one_at_once() {
    for version in Version::ALL {
        // In both orders, so that no hash decides.
        for (dead, successor) in [(10, 11), (11, 10)] {
            let net = Net::new();
            let relay = net.origin(1);
            let viewer = net.origin(20);
            let _down = net.connect(version, &End::subscribe(&viewer), &End::both(&relay));
            let connect = |id| {
                let origin = net.origin(id);
                let link = net.connect(version, &End::publish(&origin), &End::both(&relay));
                let (broadcast, track) = publish(&origin, "room");
                net.executor.run_until_idle();
                (link, origin, broadcast, track)
            };
            let old = connect(dead);
            let mut announced = viewer.consume().announced();
            let (_, event) = announced.try_next().expect("announced");
            let found = event.broadcast().unwrap();
            let mut reader = net.executor.run_until(subscribe(&found));
            old.3.write_frame("old").unwrap();
            assert_eq!(net.executor.run_until(frame(&mut reader)), b"old");

            let start = net.executor.now();
            let new = connect(successor);
            new.3.write_frame("new").unwrap();
            let ended = net.executor.run_until(reader.recv_group());
            assert!(ended.is_err(), "{version}: its reader is to look again");
            let mut found = None;
            while let Some((_, event)) = announced.try_next() {
                found = event.broadcast();
            }
            let found = found.expect("the successor is announced");
            let mut reader = net.executor.run_until(subscribe(&found));
            let read = net.executor.run_until(frame(&mut reader));
            assert_eq!(read, b"new", "{version}");
            assert!(
                net.executor.now() - start < Duration::from_millis(100),
                "{version}"
            );
            // The old one lives after all, and has the path again when the other leaves.
            new.0.client_end.kill();
            net.executor.run_until_idle();
            let mut found = None;
            while let Some((_, event)) = announced.try_next() {
                found = event.broadcast();
            }
            let mut reader = net.executor.run_until(subscribe(&found.expect("back")));
            old.3.write_frame("again").unwrap();
            let again = async {
                loop {
                    let read = frame(&mut reader).await;
                    if read != b"old" {
                        break read;
                    }
                }
            };
            assert_eq!(net.executor.run_until(again), b"again", "{version}");
        }
    }
}

#[test]
fn when_the_shorter_of_two_routes_dies_a_viewer_goes_on_over_the_other() {
    // Before 03 there is no telling a long way from a short one.
    for version in Version::ALL
        .into_iter()
        .filter(|version| version.has_hops())
    {
        let net = Net::new();
        // The publisher's relay, one in between, and the viewer's, which knows both.
        let (far, between, near) = (net.origin(1), net.origin(2), net.origin(3));
        let short = net.connect(version, &End::both(&near), &End::both(&far));
        let _one = net.connect(version, &End::both(&between), &End::both(&far));
        let _two = net.connect(version, &End::both(&near), &End::both(&between));
        let publisher = net.origin(10);
        let _up = net.connect(version, &End::publish(&publisher), &End::both(&far));
        let viewer = net.origin(20);
        let _down = net.connect(version, &End::subscribe(&viewer), &End::both(&near));
        let (_broadcast, track) = publish(&publisher, "room");
        net.executor.run_until_idle();
        let mut announced = viewer.consume().announced();
        let mut last = None;
        while let Some((_, event)) = announced.try_next() {
            last = event.broadcast();
        }
        let found = last.expect("announced");
        let mut reader = net.executor.run_until(subscribe(&found));
        track.write_frame("before").unwrap();
        assert_eq!(
            net.executor.run_until(frame(&mut reader)),
            b"before",
            "{version}"
        );

        let start = net.executor.now();
        short.client_end.kill();
        let mut reader = net.executor.run_until(async {
            loop {
                let (_, event) = announced.next().await.expect("the origin lives");
                match event {
                    Announced::Ended => {}
                    Announced::Active(found) | Announced::Restart(found) => {
                        break subscribe(&found).await;
                    }
                }
            }
        });
        track.write_frame("after").unwrap();
        let mut seen = net.executor.run_until(frame(&mut reader));
        if seen == b"before" {
            // Where a subscription starts at what is there, it is there again.
            seen = net.executor.run_until(frame(&mut reader));
        }
        assert_eq!(seen, b"after", "{version}");
        let took = net.executor.now() - start;
        assert!(took < Duration::from_secs(2), "{version}: {took:?}");
    }
}

#[test]
fn announcements_in_a_ring_of_peers_come_to_rest_and_leave_nothing_behind() {
    // Before 04 hops have no names, and chains only end at their greatest length.
    let versions = Version::ALL
        .into_iter()
        .filter(|version| version.has_hop_ids());
    for version in versions {
        for size in [3_u64, 5, 12] {
            let net = Net::new();
            let ring: Vec<_> = (1..=size).map(|id| net.origin(id)).collect();
            let _links: Vec<_> = (0..ring.len())
                .map(|at| {
                    let next = &ring[(at + 1) % ring.len()];
                    net.connect(version, &End::both(&ring[at]), &End::both(next))
                })
                .collect();
            let published = ring[0].create_broadcast(&path("room")).unwrap();
            // Nothing here takes time: it comes to rest, or this never returns.
            net.executor.run_until_idle();
            for origin in &ring {
                let found = origin.consume().request_broadcast(&path("room")).unwrap();
                let found = net.executor.run_until(found).unwrap();
                let hops = found.info().hops.as_slice().to_vec();
                let mut known = hops.clone();
                known.sort();
                known.dedup();
                assert_eq!(
                    known.len(),
                    hops.len(),
                    "{version}: {hops:?} goes in circles"
                );
                assert!(
                    hops.len() as u64 <= size / 2 + 1,
                    "{version}: {hops:?} is a detour"
                );
            }
            drop(published);
            net.executor.run_until_idle();
            for origin in &ring {
                let gone = origin.consume().announced().try_next();
                assert!(
                    gone.is_none(),
                    "{version}, ring of {size}: it is still there"
                );
            }
        }
    }
}

#[test]
fn publishers_without_a_name_on_one_path_do_not_keep_a_ring_of_peers_going_round() {
    for version in Version::ALL {
        if !version.has_hop_ids() {
            continue;
        }
        for size in [3, 4, 5, 7] {
            let net = Net::new();
            let ring: Vec<_> = (1..=size).map(|id| net.origin(id)).collect();
            let links: Vec<_> = (0..ring.len())
                .map(|at| {
                    let next = &ring[(at + 1) % ring.len()];
                    net.connect(version, &End::both(&ring[at]), &End::both(next))
                })
                .collect();
            // One at each relay, or at some of them.
            for step in [1, 2, 3] {
                let clients: Vec<_> = (0..ring.len())
                    .step_by(step)
                    .map(|at| {
                        let own = net.origin(100 + at as u64);
                        let published = own.create_broadcast(&path("room")).unwrap();
                        let end = End::subscribe(&ring[at]);
                        let visit = net.connect(Version::Lite02, &End::publish(&own), &end);
                        (published, visit)
                    })
                    .collect();
                net.executor.advance(Duration::from_secs(1));
                let written = || -> Vec<_> {
                    let ends = links.iter().map(|link| link.client_end.breaker());
                    ends.flat_map(|end| [0, 1].map(|side| end.written(side, 1, false).writes))
                        .collect()
                };
                let before = written();
                net.executor.advance(Duration::from_secs(5));
                assert_eq!(before, written(), "{version}, {size} relays, every {step}");
                drop(clients);
                net.executor.advance(Duration::from_secs(1));
                for origin in &ring {
                    assert!(origin.consume().announced().try_next().is_none());
                }
            }
        }
    }
}

#[test]
fn a_route_to_a_peer_that_leaves_is_the_last_resort() {
    for version in Version::ALL
        .into_iter()
        .filter(|version| version.has_goaway())
    {
        let net = Net::new();
        let (one, two, relay) = (net.origin(1), net.origin(2), net.origin(3));
        let first = net.connect(version, &End::publish(&one), &End::subscribe(&relay));
        let (_here, _) = publish(&one, "room");
        net.executor.run_until_idle();
        let _second = net.connect(version, &End::publish(&two), &End::subscribe(&relay));
        let (_there, _) = publish(&two, "room");
        net.executor.run_until_idle();
        let active = |of: u64| {
            let found = relay.consume().request_broadcast(&path("room")).unwrap();
            let found = net.executor.run_until(found).unwrap();
            found.info().hops.iter().any(|hop| hop.id == of)
        };
        let (used, leaving) = match active(1) {
            true => (1, &first.client),
            false => (2, &_second.client),
        };
        leaving.goaway("");
        net.executor.run_until_idle();
        assert!(
            !active(used),
            "{version}: it still uses the one that leaves"
        );
    }
}
