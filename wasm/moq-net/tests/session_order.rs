//! Every message arrives: bursts, order and where a subscription begins, through sessions and relays.

mod support;

use std::time::Duration;

use moq_net::{
    InOrder, OriginProducer, Subscription, TrackInfo, TrackProducer, TrackSubscriber, Version,
};
use support::{
    downstream::Downstream,
    net::{Connection, End, Net, path},
    raw,
    transport::Options,
    upstream::Upstream,
};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// As pages subscribe.
fn page() -> Subscription {
    Subscription::default()
        .with_ordered(true)
        .with_max_latency(TrackInfo::default().cache)
}

/// A publisher, a relay and a viewer, over connections with few streams.
struct Chain {
    net: Net,
    publisher: OriginProducer,
    viewer: OriginProducer,
    _sessions: [Connection; 2],
}

impl Chain {
    fn new(up: Version, down: Version, streams: usize) -> Self {
        let net = Net::new();
        let [publisher, relay, viewer] = [1, 2, 3].map(|id| net.origin(id));
        let options = |version| Options {
            max_uni: streams,
            ..Net::options(version)
        };
        let (from, to) = (End::publish(&publisher), End::subscribe(&relay));
        let up = net.connect_with(options(up), up, &from, &to);
        let (to, from) = (End::subscribe(&viewer), End::publish(&relay));
        let down = net.connect_with(options(down), down, &to, &from);
        Self {
            net,
            publisher,
            viewer,
            _sessions: [up, down],
        }
    }

    fn subscribe(&self, wish: Subscription) -> TrackSubscriber {
        subscribe(&self.net, &self.viewer, wish)
    }
}

fn subscribe(net: &Net, viewer: &OriginProducer, wish: Subscription) -> TrackSubscriber {
    let reader = net.executor.run_until(async {
        let origin = viewer.consume();
        let room = origin.announced_broadcast(&path("room")).await.unwrap();
        room.track("v").unwrap().subscribe(wish).unwrap().await
    });
    net.executor.run_until_idle();
    reader.unwrap()
}

fn burst(track: &TrackProducer, from: u64, to: u64) {
    for sequence in from..to {
        track.write_frame(format!("message {sequence}")).unwrap();
    }
}

/// Reads to the end, in words.
fn read(net: &Net, reader: &mut TrackSubscriber) -> Vec<String> {
    net.executor.run_until(async {
        let mut words = Vec::new();
        while let Some(next) = reader.next_in_order().await.unwrap() {
            words.push(match next {
                InOrder::Group(mut group) => {
                    let payload = group.read_frame().await.unwrap().unwrap();
                    String::from_utf8(payload.to_vec()).unwrap()
                }
                InOrder::Gap(gap) => format!("{gap:?}"),
            });
        }
        words
    })
}

fn messages(from: u64, to: u64) -> Vec<String> {
    (from..to).map(|at| format!("message {at}")).collect()
}

#[test]
fn a_reader_that_asked_for_the_newest_group_first_gets_a_burst_whole() {
    for version in Version::ALL {
        let chain = Chain::new(version, version, 2048);
        let room = chain.publisher.create_broadcast(&path("room")).unwrap();
        let track = room.create_track("v", None).unwrap();
        let mut reader = chain.net.executor.run_until(async {
            let origin = chain.viewer.consume();
            let room = origin.announced_broadcast(&path("room")).await.unwrap();
            let track = room.track("v").unwrap();
            assert_eq!(track.newest().await.unwrap(), None, "{version}");
            track.subscribe(page()).unwrap().await.unwrap()
        });
        // What the reader wants is still on its way: the publisher knows what the question wanted.
        burst(&track, 0, 5);
        track.finish().unwrap();
        let got = read(&chain.net, &mut reader);
        assert_eq!(got, messages(0, 5), "{version}");
    }
}

#[test]
fn a_burst_of_a_thousand_groups_arrives_whole_on_every_version() {
    for version in Version::ALL {
        for (streams, count) in [(2048, 1000), (3, 200)] {
            let chain = Chain::new(version, version, streams);
            let room = chain.publisher.create_broadcast(&path("room")).unwrap();
            let track = room.create_track("v", None).unwrap();
            let mut reader = chain.subscribe(page());
            burst(&track, 0, count);
            track.finish().unwrap();
            let got = read(&chain.net, &mut reader);
            assert_eq!(got, messages(0, count), "{version} with {streams} streams");
            assert_eq!(reader.in_order_stats().waited_out, 0, "{version}");
        }
    }
}

#[test]
fn versions_on_both_sides_of_a_relay_may_differ() {
    for up in [Version::Lite03, Version::Lite05, Version::Lite06] {
        for down in Version::ALL {
            let chain = Chain::new(up, down, 10);
            let room = chain.publisher.create_broadcast(&path("room")).unwrap();
            let track = room.create_track("v", None).unwrap();
            let mut reader = chain.subscribe(page());
            burst(&track, 0, 100);
            track.finish().unwrap();
            assert_eq!(
                read(&chain.net, &mut reader),
                messages(0, 100),
                "{up} to {down}"
            );
        }
    }
}

#[test]
fn a_relay_passes_on_a_burst_that_comes_newest_first() {
    for version in Version::ALL {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (_announce, _room) = up.announce();
        let viewer = net.origin(3);
        let (to, from) = (End::subscribe(&viewer), End::publish(&up.origin));
        let _down = net.connect(version, &to, &from);
        let reader = net.executor.spawn({
            let origin = viewer.consume();
            async move {
                let room = origin.announced_broadcast(&path("room")).await.unwrap();
                room.track("v").unwrap().subscribe(page()).unwrap().await
            }
        });
        net.executor.run_until_idle();
        up.answer_track();
        let (mut stream, _) = up.answer_subscribe();
        let mut reader = net.executor.run_until(reader).unwrap();
        for sequence in (0..10_u8).rev() {
            let bytes = up.group(0, sequence) + &up.frame(&format!("message {sequence}"));
            up.raw.uni_fin(&bytes);
        }
        // The end: 10, and so many streams where they are counted.
        match version {
            Version::Lite07Wip => stream.write("01 02 0a 0a"),
            Version::Lite05 | Version::Lite06 => stream.write("00 01 00  01 01 0a"),
            _ => {}
        }
        stream.fin();
        assert_eq!(read(&net, &mut reader), messages(0, 10), "{version}");
    }
}

#[test]
fn a_relay_passes_on_where_a_track_begins() {
    // START comes before the first group, or is late itself.
    for (version, told) in [Version::Lite05, Version::Lite06, Version::Lite07Wip]
        .into_iter()
        .flat_map(|version| [(version, true), (version, false)])
    {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (_announce, _room) = up.announce();
        let viewer = net.origin(3);
        let (to, from) = (End::subscribe(&viewer), End::publish(&up.origin));
        let _down = net.connect(version, &to, &from);
        let reader = net.executor.spawn({
            let origin = viewer.consume();
            async move {
                let room = origin.announced_broadcast(&path("room")).await.unwrap();
                room.track("v").unwrap().subscribe(page()).unwrap().await
            }
        });
        net.executor.run_until_idle();
        up.answer_track();
        let (mut stream, _) = up.answer_subscribe();
        let mut reader = net.executor.run_until(reader).unwrap();
        let send = |sequence: u8| {
            let bytes = up.group(0, sequence) + &up.frame(&format!("message {sequence}"));
            up.raw.uni_fin(&bytes);
        };
        let start = "00 01 00";
        if told {
            stream.write(start);
        }
        send(1);
        // By more than a reader waits that does not know where a track begins.
        let early = net
            .executor
            .run_for(Duration::from_millis(400), reader.next_in_order());
        assert!(early.is_none(), "{version}: {early:?}");
        if !told {
            stream.write(start);
        }
        net.executor.advance(Duration::from_millis(400));
        send(0);
        match version {
            Version::Lite07Wip => stream.write("01 02 02 02"),
            _ => stream.write("01 01 02"),
        }
        stream.fin();
        assert_eq!(read(&net, &mut reader), messages(0, 2), "{version} {told}");
    }
}

#[test]
fn a_publisher_that_does_not_say_where_it_begins_is_waited_for_two_seconds() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite06);
    let (_announce, room) = up.announce();
    let reader = net.executor.spawn({
        let track = room.track("v").unwrap();
        async move { track.subscribe(page()).unwrap().await }
    });
    net.executor.run_until_idle();
    up.answer_track();
    let (_stream, _) = up.answer_subscribe();
    let mut reader = net.executor.run_until(reader).unwrap();
    up.raw.uni_fin(&(up.group(0, 7) + &up.frame("message 7")));
    let mut next = |wait| {
        let next = net
            .executor
            .run_for(Duration::from_millis(wait), reader.next_in_order());
        next.is_some()
    };
    assert!(!next(1_900));
    assert!(next(200));
}

#[test]
fn a_viewer_that_joins_hears_the_live_edge_within_150_ms() {
    for version in Version::ALL {
        for numbering in [0, 5000] {
            let chain = Chain::new(version, version, 100);
            let room = chain.publisher.create_broadcast(&path("room")).unwrap();
            let track = room.create_track("v", None).unwrap();
            let write = |sequence: u64| {
                let group = track.create_group(numbering + sequence).unwrap();
                group.write_frame(format!("message {sequence}")).unwrap();
                group.finish().unwrap();
            };
            (0..9).for_each(write);
            let mut reader = chain.subscribe(page());
            let first = chain
                .net
                .executor
                .run_for(Duration::from_millis(150), reader.next_in_order());
            let Some(Ok(Some(InOrder::Group(group)))) = first else {
                panic!("{version}: {first:?}");
            };
            let expected = match version.starts_at_latest() {
                true => numbering + 8,
                false => numbering,
            };
            assert_eq!(group.sequence(), expected, "{version}");
        }
    }
}

#[test]
fn a_subscription_begins_at_the_edge_there_was_when_it_was_asked_for() {
    // On versions up to 05 an empty track has none: whatever comes is sent.
    for (version, subscribe) in [
        (Version::Lite04, "02 0e 00 04726f6f6d 0176 05 01 5388 00 00"),
        (Version::Lite05, "02 0e 00 04726f6f6d 0176 05 01 5388 00 00"),
    ] {
        let net = Net::new();
        let down = Downstream::new(&net, version);
        let _stream = down.raw.bidi(subscribe);
        for sequence in [9, 3] {
            down.group(sequence, &[sequence]);
            let (bytes, _) = down.raw.read_uni().expect("a group stream");
            assert!(
                bytes.starts_with(&format!("000200{sequence:02x}")),
                "{version}: {bytes}"
            );
        }
        let net = Net::new();
        let down = Downstream::new(&net, version);
        down.group(5, &[5]);
        let _stream = down.raw.bidi(subscribe);
        assert!(down.raw.read_uni().is_some());
        down.group(4, &[4]);
        assert!(down.raw.read_uni().is_none(), "{version}: below the edge");
    }
}

#[test]
fn the_start_that_is_told_is_no_higher_than_what_comes() {
    let subscribe = "02 0e 00 04726f6f6d 0176 05 01 5388 00 00";
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite05);
    let mut stream = down.raw.bidi(subscribe);
    down.group(9, &[9]);
    assert!(down.raw.read_uni().is_some(), "it need not wait");
    assert_eq!(stream.read().0, "", "older ones may come");
    net.executor.advance(Duration::from_millis(99));
    down.group(8, &[8]);
    net.executor.advance(Duration::from_millis(99));
    assert_eq!(stream.read().0, "");
    net.executor.advance(Duration::from_millis(1));
    assert_eq!(stream.read().0, "000108");
    // An end that comes first does not keep it back.
    let net = Net::new();
    let down = Downstream::new(&net, Version::Lite05);
    let mut stream = down.raw.bidi(subscribe);
    down.group(9, &[9]);
    down.track.finish().unwrap();
    assert_eq!(stream.read().0, "000109".to_owned() + "01010a");
}

#[test]
fn groups_leave_in_sequence_where_that_is_wanted() {
    // Ordered; on 06 a max age of a second says the same, and one below does not.
    for (version, subscribe, ordered) in [
        (
            Version::Lite04,
            "02 0e 00 04726f6f6d 0176 05 01 5388 00 00",
            true,
        ),
        (
            Version::Lite05,
            "02 0e 00 04726f6f6d 0176 05 01 5388 00 00",
            true,
        ),
        (
            Version::Lite05,
            "02 0e 00 04726f6f6d 0176 05 00 5388 00 00",
            false,
        ),
        (
            Version::Lite06,
            "02 0f 00 04726f6f6d 0176 05 43e8 00 00 00 00",
            true,
        ),
        (
            Version::Lite06,
            "02 0f 00 04726f6f6d 0176 05 43e7 00 00 00 00",
            false,
        ),
    ] {
        let net = Net::new();
        let options = Options {
            max_uni: 1,
            ..Net::options(version)
        };
        let down = Downstream::silent(&net, version, options.clone());
        if version.has_setup_stream() {
            down.raw.uni_fin("01 04 01 05 01 02");
        }
        let _stream = down.raw.bidi(subscribe);
        let first = down.track.create_group(0).unwrap();
        let held = down.raw.accept_uni().expect("the only stream there may be");
        for sequence in (1..30).rev() {
            down.group(sequence, &[sequence]);
            net.executor.run_until_idle();
        }
        first.finish().unwrap();
        let mut held = held;
        raw::read(&net.executor, &mut held);
        let mut sequences = Vec::new();
        while let Some((bytes, _)) = down.raw.read_uni() {
            sequences.push(u64::from_str_radix(&bytes[6..8], 16).unwrap());
        }
        assert_eq!(sequences.len(), 29, "{version}");
        // A few were on their way before the older ones came.
        let rest = &sequences[4..];
        assert_eq!(rest.is_sorted(), ordered, "{version}: {sequences:?}");

        let net = Net::new();
        let down = Downstream::new(&net, version);
        let _stream = down.raw.bidi(subscribe);
        let groups = [0, 1, 2].map(|at| down.track.create_group(at).unwrap());
        let orders = [0, 1, 2].map(|_| down.raw.accept_uni().unwrap().priority());
        let falling = orders.is_sorted_by(|one, next| one > next);
        assert_eq!(falling, ordered, "{version}: {orders:?}");
        drop(groups);
    }
}
