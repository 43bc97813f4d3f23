//! Very many tracks of a publisher whose transport gives credit for a hundred streams, and renews it as Chromium does.

mod support;

use std::time::Duration;

use moq_net::{
    BroadcastConsumer, BroadcastPublish, Error, Subscription, TrackProducer, TrackSubscriber,
    Version,
};
use support::{
    net::{Connection, End, Net, path},
    transport::Options,
};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A relay that reads from a page: what the page has, and how the relay sees it.
struct World {
    net: Net,
    _connection: Connection,
    _room: BroadcastPublish,
    _tracks: Vec<TrackProducer>,
    source: BroadcastConsumer,
}

fn world(version: Version, tracks: usize) -> World {
    let net = Net::new();
    let (page, relay) = (net.origin(1), net.origin(2));
    let options = Options {
        max_bidi: 100,
        renew_at_half: true,
        ..Net::options(version)
    };
    let connection = net.connect_with(
        options,
        version,
        &End::publish(&page),
        &End::subscribe(&relay),
    );
    let room = page.create_broadcast(&path("room")).unwrap();
    let tracks = (0..tracks)
        .map(|name| {
            let track = room.create_track(name.to_string(), None).unwrap();
            track.write_frame(vec![1]).unwrap();
            track
        })
        .collect();
    let source = net
        .executor
        .run_until(async { relay.consume().announced_broadcast(&path("room")).await })
        .unwrap();
    World {
        net,
        _connection: connection,
        _room: room,
        _tracks: tracks,
        source,
    }
}

impl World {
    /// Asks for the properties of the first `tracks` at once and then subscribes, as viewers do; how each ended, and how long all took.
    fn subscribe(&self, tracks: usize) -> (Vec<Result<TrackSubscriber, Error>>, Duration) {
        let began = self.net.executor.now();
        let tracks: Vec<_> = (0..tracks)
            .map(|name| self.source.track(name.to_string()).unwrap())
            .collect();
        let infos: Vec<_> = tracks
            .iter()
            .map(|track| self.net.executor.spawn(track.info()))
            .collect();
        for info in infos {
            self.net.executor.run_until(info).unwrap();
        }
        self.net.executor.run_until_idle();
        let pending: Vec<_> = tracks
            .iter()
            .map(|track| {
                let pending = track.subscribe(Subscription::default()).unwrap();
                self.net.executor.spawn(pending)
            })
            .collect();
        let confirmed: Vec<_> = pending
            .into_iter()
            .map(|pending| self.net.executor.run_until(pending))
            .collect();
        let read = confirmed
            .into_iter()
            .map(|confirmed| {
                let mut subscriber = confirmed?;
                let group = self.net.executor.run_until(subscriber.next_group())?;
                assert!(group.is_some());
                Ok(subscriber)
            })
            .collect();
        (read, self.net.executor.now() - began)
    }
}

#[test]
fn ninety_tracks_are_served_at_once_again_and_again() {
    for version in [Version::Lite05, Version::Lite06] {
        let world = world(version, 95);
        for _ in 0..5 {
            let (read, took) = world.subscribe(95);
            for (name, read) in read.iter().enumerate() {
                assert!(
                    read.is_ok(),
                    "{version}, track {name}: {:?}",
                    read.as_ref().err()
                );
            }
            assert!(took < Duration::from_secs(1), "{took:?}");
            drop(read);
            // The relay gives up what no reader wants.
            world.net.executor.advance(Duration::from_secs(6));
        }
    }
}

#[test]
fn tracks_beyond_the_credit_fail_within_a_second_and_say_why() {
    for version in [Version::Lite05, Version::Lite06] {
        let world = world(version, 150);
        let (read, took) = world.subscribe(150);
        assert!(took < Duration::from_millis(1500), "{took:?}");
        let (served, refused): (Vec<_>, Vec<_>) = read.into_iter().partition(Result::is_ok);
        assert!(served.len() >= 95, "{}", served.len());
        for error in refused.iter().filter_map(|read| read.as_ref().err()) {
            let Error::NoCapacity(text) = error else {
                panic!("{error}");
            };
            assert!(
                text.contains("credit") && text.contains("WebSocket"),
                "{text}"
            );
        }
        // A reader that leaves makes room.
        drop((served, refused));
        world.net.executor.advance(Duration::from_secs(6));
        let (read, _) = world.subscribe(90);
        assert!(read.iter().all(Result::is_ok));
    }
}
