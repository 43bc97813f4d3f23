//! Ranges through sessions and a relay: what a reader asked for arrives on every version that can fetch, and is reported on the others.

mod support;

use std::time::Duration;

use moq_net::{
    BroadcastConsumer, Error, InOrder, OriginProducer, Subscription, TrackInfo, TrackProducer,
    TrackSubscriber, Version,
};
use support::net::{Connection, End, Net, path};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn wish() -> Subscription {
    Subscription::default().with_max_latency(Duration::from_secs(5))
}

fn range(start: u64, end: impl Into<Option<u64>>) -> Subscription {
    wish().with_group_start(start).with_group_end(end)
}

/// A publisher that keeps its old groups, a relay, and a page behind it.
struct Stage {
    track: TrackProducer,
    broadcast: BroadcastConsumer,
    up: Connection,
    _down: Connection,
    _origins: [OriginProducer; 3],
}

impl Stage {
    fn new(net: &Net, version: Version, kept: impl Fn(u64) -> bool + Send + 'static) -> Self {
        let origins = [1, 2, 3].map(|id| net.origin(id));
        let [publisher, relay, viewer] = &origins;
        let up = net.connect(version, &End::publish(publisher), &End::subscribe(relay));
        let down = net.connect(version, &End::subscribe(viewer), &End::publish(relay));
        let broadcast = publisher.create_broadcast(&path("b")).unwrap();
        let track = broadcast.create_track("v", TrackInfo::default()).unwrap();
        let handler = track.dynamic();
        drop(net.executor.spawn(async move {
            let _broadcast = broadcast;
            while let Ok(request) = handler.requested_group().await {
                let sequence = request.sequence();
                if !kept(sequence) {
                    request.reject(Error::NotFound);
                    continue;
                }
                if let Ok(group) = request.accept(None) {
                    group.write_frame(format!("{sequence}")).unwrap();
                    group.finish().unwrap();
                }
            }
        }));
        let broadcast = net.executor.run_until(async {
            let origin = viewer.consume();
            origin.announced_broadcast(&path("b")).await.unwrap()
        });
        Self {
            track,
            broadcast,
            up,
            _down: down,
            _origins: origins,
        }
    }

    fn subscribe(&self, net: &Net, wish: Subscription) -> TrackSubscriber {
        let track = self.broadcast.track("v").unwrap();
        let pending = track.subscribe(wish).unwrap();
        let subscriber = net.executor.run_until(async { pending.await.unwrap() });
        net.executor.run_until_idle();
        subscriber
    }

    fn write(&self, net: &Net, sequences: impl IntoIterator<Item = u64>) {
        for sequence in sequences {
            let group = self.track.create_group(sequence).unwrap();
            group.write_frame(format!("{sequence}")).unwrap();
            group.finish().unwrap();
            net.executor.run_until_idle();
        }
    }
}

/// What `reader` gets until its end, or until it has had `last`.
fn read(net: &Net, reader: &mut TrackSubscriber, last: u64) -> String {
    net.executor.run_until(async {
        let mut words = Vec::new();
        loop {
            match reader.next_in_order().await {
                Ok(Some(InOrder::Group(mut group))) => {
                    let frame = group.read_frame().await.unwrap().expect("a frame");
                    assert_eq!(frame, group.sequence().to_string());
                    words.push(group.sequence().to_string());
                    if group.sequence() == last {
                        break;
                    }
                }
                Ok(Some(InOrder::Gap(gap))) => {
                    words.push(format!("({}-{})", gap.from, gap.to));
                }
                Ok(None) => {
                    words.push("end".to_owned());
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
        words.join(" ")
    })
}

#[test]
fn a_range_is_read_through_a_relay_whoever_watches() {
    for version in Version::ALL {
        for watched in [true, false] {
            let net = Net::new();
            let stage = Stage::new(&net, version, |_| true);
            let mut live = watched.then(|| stage.subscribe(&net, wish()));
            stage.write(&net, 0..8);
            net.executor.advance(Duration::from_secs(6));
            stage.write(&net, [8]);
            if let Some(live) = &mut live {
                let track = read(&net, live, 8);
                assert!(track.ends_with('8'), "{version}: {track}");
            }
            let mut some = stage.subscribe(&net, range(2, 5));
            let mut all = stage.subscribe(&net, range(0, None));
            let began = net.executor.now();
            let (some, read_all) = (read(&net, &mut some, u64::MAX), read(&net, &mut all, 8));
            let name = format!("{version}, watched: {watched}");
            match version.has_fetch() {
                true => {
                    assert_eq!(some, "2 3 4 5 end", "{name}");
                    assert_eq!(read_all, "0 1 2 3 4 5 6 7 8", "{name}");
                }
                false => {
                    assert_eq!(some, "(2-5) end", "{name}");
                    assert_eq!(read_all, "(0-7) 8", "{name}");
                }
            }
            let took = net.executor.now() - began;
            assert!(took < Duration::from_secs(1), "{name}: {took:?}");
            stage.write(&net, [9]);
            assert_eq!(read(&net, &mut all, 9), "9", "{name}");
        }
    }
}

#[test]
fn one_range_costs_each_link_one_fetch_for_each_group() {
    let net = Net::new();
    let stage = Stage::new(&net, Version::Lite06, |sequence| sequence >= 900);
    stage.write(&net, 0..1000);
    net.executor.advance(Duration::from_secs(6));
    stage.write(&net, [1000]);
    let before = stage.up.server_end.opened().0;
    let mut readers = [0, 0, 900].map(|start| stage.subscribe(&net, range(start, 1000)));
    let expected: Vec<_> = (900..=1000).map(|sequence| sequence.to_string()).collect();
    let expected = format!("{} end", expected.join(" "));
    let [first, second, third] = &mut readers;
    assert_eq!(read(&net, first, u64::MAX), format!("(0-899) {expected}"));
    assert_eq!(read(&net, second, u64::MAX), format!("(0-899) {expected}"));
    assert_eq!(read(&net, third, u64::MAX), expected);
    let asked = stage.up.server_end.opened().0 - before;
    // 100 groups, twice at most 17 that are gone, TRACK and SUBSCRIBE.
    assert!((102..=136).contains(&asked), "{asked}");
}

#[test]
fn the_newest_group_is_found_and_an_empty_track_is_said_to_be() {
    for version in Version::ALL {
        let net = Net::new();
        let stage = Stage::new(&net, version, |_| true);
        let newest = || {
            let track = stage.broadcast.track("v").unwrap();
            net.executor
                .run_until(async move { track.newest().await.unwrap() })
        };
        let began = net.executor.now();
        assert_eq!(newest(), None, "{version}");
        let took = net.executor.now() - began;
        assert!(took <= Duration::from_secs(2), "{version}: {took:?}");
        stage.write(&net, 0..4);
        assert_eq!(newest(), Some(3), "{version}");
        // No reader is left: it is asked for anew.
        stage.write(&net, [4]);
        assert_eq!(newest(), Some(4), "{version}");
        let _watching = stage.subscribe(&net, wish());
        stage.write(&net, [5]);
        let began = net.executor.now();
        assert_eq!(newest(), Some(5), "{version}");
        assert_eq!(net.executor.now(), began, "{version}: known");
        stage.track.finish().unwrap();
        net.executor.run_until_idle();
        assert_eq!(newest(), Some(5), "{version}");
    }
}
