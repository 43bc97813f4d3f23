//! Peers that ask for tracks before they are created.

mod support;

use moq_net::{
    BroadcastConsumer, BroadcastHold, BroadcastInfo, Error, Limits, Subscription, Version,
};
use support::net::{Connection, End, Net, path};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A publisher that holds requests, and a viewer of it.
struct World {
    net: Net,
    broadcast: moq_net::BroadcastProducer,
    hold: BroadcastHold,
    found: BroadcastConsumer,
    _kept: (Connection, moq_net::OriginPublish),
}

fn world(version: Version) -> World {
    world_of(Net::new(), version)
}

fn world_of(net: Net, version: Version) -> World {
    let (publisher, viewer) = (net.origin(1), net.origin(2));
    let link = net.connect(version, &End::publish(&publisher), &End::subscribe(&viewer));
    let broadcast = BroadcastInfo::new().produce(&net.runtime);
    let hold = broadcast.hold();
    let publish = publisher
        .publish_broadcast(&path("room"), &broadcast)
        .unwrap();
    let found = viewer.consume();
    let found = net
        .executor
        .run_until(async { found.announced_broadcast(&path("room")).await.unwrap() });
    World {
        net,
        broadcast,
        hold,
        found,
        _kept: (link, publish),
    }
}

#[test]
fn a_peer_waits_for_a_track_while_there_is_a_hold_and_not_after_it() {
    for version in Version::ALL {
        let world = world(version);
        let wish = Subscription::default();
        let ask = |name: &str| {
            world
                .found
                .track(name.to_owned())
                .unwrap()
                .subscribe(wish)
                .unwrap()
        };
        let (early, never) = (ask("early"), ask("never"));
        world.net.executor.run_until_idle();
        let track = world.broadcast.create_track("early", None).unwrap();
        let mut reader = world.net.executor.run_until(early).unwrap();
        track.write_frame("x").unwrap();
        let group = world.net.executor.run_until(reader.recv_group());
        assert!(group.unwrap().is_some(), "{version}");
        world.hold.release();
        let refused = world.net.executor.run_until(never).err();
        assert_eq!(refused, Some(Error::NotFound), "{version}");
        let late = world.net.executor.run_until(ask("late")).err();
        assert_eq!(late, Some(Error::NotFound), "{version}");
    }
}

#[test]
fn readers_of_the_same_process_are_refused_at_once() {
    let world = world(Version::Lite06);
    let local = world.broadcast.consume();
    assert_eq!(local.track("none").err(), Some(Error::NotFound));
    // Another handler is asked as ever, and what it takes it keeps.
    let mut handler = world.broadcast.dynamic();
    let asked = local.track("none").unwrap();
    world.hold.release();
    let request = world.net.executor.run_until(handler.requested_track());
    let track = request.unwrap().accept(None);
    assert_eq!(asked.name(), track.name());
}

#[test]
fn a_broadcast_that_ends_while_it_holds_requests_drops_them() {
    let world = world(Version::Lite06);
    let track = world.found.track("never").unwrap();
    let asked = track.subscribe(Subscription::default()).unwrap();
    world.net.executor.run_until_idle();
    drop((world.hold, world.broadcast));
    assert!(world.net.executor.run_until(asked).is_err());
}

#[test]
fn very_many_unknown_names_are_all_refused_in_the_end() {
    let limit = 16;
    let net = Net::with_limits(Limits {
        track_requests: limit,
        ..Limits::default()
    });
    let world = world_of(net, Version::Lite06);
    let asked: Vec<_> = (0..limit * 3)
        .map(|index| {
            let track = world.found.track(index.to_string()).unwrap();
            let asked = track.subscribe(Subscription::default()).unwrap();
            // The viewer's own queue is no longer than the publisher's.
            world.net.executor.run_until_idle();
            asked
        })
        .collect();
    world.net.executor.run_until_idle();
    world.hold.release();
    for asked in asked {
        let refused = world.net.executor.run_until(asked).err();
        // What found no room is to be asked for again.
        let is_refused = matches!(
            refused,
            Some(Error::NotFound | Error::NoCapacity(_) | Error::Late { .. })
        );
        assert!(is_refused, "{refused:?}");
    }
}
