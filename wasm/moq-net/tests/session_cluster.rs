//! Several relays: a chain, two ways to one broadcast, and a ring.

mod support;

use std::{collections::BTreeSet, time::Duration};

use moq_net::{
    Announced, BroadcastConsumer, OriginProducer, Subscription, TrackInfo, TrackSubscriber, Version,
};
use support::net::{Connection, End, Net, path};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Versions whose chains name every hop.
const NAMING: [Version; 3] = [Version::Lite04, Version::Lite05, Version::Lite06];

/// `to` reads what `from` has.
fn link(net: &Net, version: Version, from: &OriginProducer, to: &OriginProducer) -> Connection {
    net.connect(version, &End::publish(from), &End::subscribe(to))
}

async fn subscribe(broadcast: &BroadcastConsumer) -> TrackSubscriber {
    let wish = Subscription::default().with_max_latency(Duration::from_secs(5));
    let pending = broadcast.track("v").unwrap().subscribe(wish).unwrap();
    pending.await.unwrap()
}

async fn frame(reader: &mut TrackSubscriber) -> String {
    let mut group = reader.recv_group().await.unwrap().unwrap();
    let frame = group.read_frame().await.unwrap().unwrap();
    String::from_utf8(frame.to_vec()).unwrap()
}

#[test]
fn in_a_chain_of_relays_every_hop_has_one_subscription() {
    for version in Version::ALL {
        let net = Net::new();
        let origins: Vec<_> = (1..=5).map(|id| net.origin(id)).collect();
        let hops: Vec<_> = origins
            .windows(2)
            .map(|pair| link(&net, version, &pair[0], &pair[1]))
            .collect();
        let far = link(&net, version, &origins[3], &net.origin(6));
        let broadcast = origins[0].create_broadcast(&path("b")).unwrap();
        let track = broadcast.create_track("v", TrackInfo::default()).unwrap();
        net.executor.run_until_idle();
        let before: Vec<_> = hops.iter().map(|hop| hop.server_end.opened().0).collect();
        let last = origins[4].consume();
        let mut readers: Vec<_> = (0..3)
            .map(|_| {
                net.executor.run_until(async {
                    let seen = last.announced_broadcast(&path("b")).await.unwrap();
                    subscribe(&seen).await
                })
            })
            .collect();
        net.executor.run_until_idle();
        track.write_frame("x").unwrap();
        for reader in &mut readers {
            assert_eq!(net.executor.run_until(frame(reader)), "x", "{version}");
        }
        for (hop, before) in hops.iter().zip(before) {
            // One SUBSCRIBE, and one TRACK where there is such a thing.
            let asked = hop.server_end.opened().0 - before;
            assert_eq!(
                asked,
                1 + u64::from(version.has_track_stream()),
                "{version}"
            );
        }
        drop(far);
    }
}

#[test]
fn when_the_shorter_way_dies_the_longer_one_takes_over() {
    for version in NAMING {
        let net = Net::new();
        let [publisher, near, one, two, viewer] = [1, 2, 3, 4, 5].map(|id| net.origin(id));
        // Publisher, near, viewer; and publisher, one, two, viewer.
        let _first = link(&net, version, &publisher, &near);
        let short = link(&net, version, &near, &viewer);
        let _long = [
            link(&net, version, &publisher, &one),
            link(&net, version, &one, &two),
            link(&net, version, &two, &viewer),
        ];
        let broadcast = publisher.create_broadcast(&path("b")).unwrap();
        let track = broadcast.create_track("v", TrackInfo::default()).unwrap();
        let mut announced = viewer.consume().announced();
        net.executor.run_until_idle();
        let mut seen = None;
        while let Some((_, event)) = announced.try_next() {
            seen = event.broadcast();
        }
        let seen = seen.expect("announced");
        let ids = |seen: &BroadcastConsumer| -> Vec<u64> {
            seen.info().hops.iter().map(|hop| hop.id).collect()
        };
        assert!(ids(&seen).contains(&2), "{version}: {:?}", ids(&seen));
        let mut reader = net.executor.run_until(subscribe(&seen));
        track.write_frame("before").unwrap();
        assert_eq!(net.executor.run_until(frame(&mut reader)), "before");

        let lost = net.executor.now();
        short.client_end.kill();
        net.executor.run_until_idle();
        let (_, event) = announced.try_next().expect("news");
        let Announced::Restart(other) = event else {
            panic!("{version}: not a restart");
        };
        assert_eq!(
            announced.try_next().map(|_| ()),
            None,
            "{version}: and no end"
        );
        assert!(!ids(&other).contains(&2), "{version}: {:?}", ids(&other));
        let mut reader = net.executor.run_until(subscribe(&other));
        track.write_frame("after").unwrap();
        let mut frames = vec![net.executor.run_until(frame(&mut reader))];
        if frames[0] == "before" {
            frames.push(net.executor.run_until(frame(&mut reader)));
        }
        assert_eq!(
            frames.last().map(String::as_str),
            Some("after"),
            "{version}"
        );
        assert!(
            net.executor.now() - lost < Duration::from_secs(2),
            "{version}"
        );
    }
}

#[test]
fn in_a_ring_announcements_come_to_rest_and_go_with_their_broadcast() {
    for version in NAMING {
        let net = Net::new();
        let ring: Vec<_> = (1..=4).map(|id| net.origin(id)).collect();
        let links: Vec<_> = (0..4)
            .map(|at| {
                let (one, other) = (End::both(&ring[at]), End::both(&ring[(at + 1) % 4]));
                net.connect(version, &one, &other)
            })
            .collect();
        let mut cursors: Vec<_> = ring
            .iter()
            .map(|origin| origin.consume().announced())
            .collect();
        let broadcast = ring[0].create_broadcast(&path("b")).unwrap();
        // A loop without end would be found here.
        net.executor.run_until_idle();
        for (at, cursor) in cursors.iter_mut().enumerate() {
            let mut live = None;
            while let Some((name, event)) = cursor.try_next() {
                assert_eq!(name.as_str(), "b");
                live = event.broadcast();
            }
            let seen = live.unwrap_or_else(|| panic!("{version}: {at} knows nothing"));
            let hops: Vec<_> = seen.info().hops.iter().map(|hop| hop.id).collect();
            let distinct: BTreeSet<_> = hops.iter().collect();
            assert_eq!(distinct.len(), hops.len(), "{version}: {hops:?}");
            assert!(hops.len() <= 3, "{version}: {hops:?}");
        }
        // Nothing is said any more.
        let polls = net.executor.polls();
        net.executor.advance(Duration::from_secs(1));
        assert!(net.executor.polls() - polls < 50, "{version}: it goes on");

        drop(broadcast);
        net.executor.run_until_idle();
        for cursor in &mut cursors {
            let mut ended = false;
            while let Some((_, event)) = cursor.try_next() {
                ended = matches!(event, Announced::Ended);
            }
            assert!(ended, "{version}: a ghost of it goes round");
        }
        drop(links);
    }
}
