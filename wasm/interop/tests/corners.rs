//! Our core and the published one where the text leaves room: what both make of the less usual things.

use std::time::Duration;

use moq_net::{
    Error, Group, Origin, Path, Subscription, Timescale, Timestamp, TrackInfo, TrackProducer,
    Version,
};
use moq_worker_interop::{
    pair::{Pair, Role, connect, connect_to, settle, soon},
    world::runtime,
};
use published_moq_net as published;

/// Versions with TRACK, FETCH and datagrams.
const LATE: [Version; 3] = [Version::Lite05, Version::Lite06, Version::Lite07Wip];
/// Versions whose subscriptions can change.
const CHANGING: [Version; 5] = [
    Version::Lite03,
    Version::Lite04,
    Version::Lite05,
    Version::Lite06,
    Version::Lite07Wip,
];

/// We publish "room" with the timed track "v", which they have heard of.
async fn ours(
    pair: &Pair,
) -> (
    moq_net::BroadcastPublish,
    TrackProducer,
    published::broadcast::Consumer,
) {
    let path = Path::parse("room").unwrap();
    let broadcast = pair.ours.create_broadcast(&path).unwrap();
    let info = TrackInfo::default()
        .with_cache(Duration::from_secs(60))
        .with_timescale(Timescale::MILLI);
    let track = broadcast.create_track("v", info).unwrap();
    let consumer = pair.theirs.consume();
    let found = soon("their look-up", consumer.routed_broadcast("room")).await;
    (broadcast, track, found.expect("announced to them"))
}

/// They publish "room" with the track "v", which we have heard of.
async fn theirs(
    pair: &Pair,
) -> (
    published::broadcast::Producer,
    published::track::Producer,
    moq_net::BroadcastConsumer,
) {
    let broadcast = pair.theirs.create_broadcast("room").unwrap();
    broadcast.announce(Default::default()).unwrap();
    let info = published::track::Info::default()
        .with_timescale(published::Timescale::MILLI)
        .with_max_age(Duration::from_secs(60));
    let track = broadcast.create_track("v", info).unwrap();
    let path = Path::parse("room").unwrap();
    let consumer = pair.ours.consume();
    let found = soon("our look-up", consumer.announced_broadcast(&path)).await;
    (broadcast, track, found.expect("announced to us"))
}

fn millis(value: u64) -> published::Timestamp {
    published::Timestamp::from_millis(value).unwrap()
}

/// A finished group of ours: a frame for each of these texts.
fn our_group(track: &TrackProducer, sequence: u64, frames: &[&'static str]) {
    let group = track.create_group(Group { sequence }).unwrap();
    for (at, frame) in (sequence * 10..).zip(frames) {
        group
            .write_timed(Timestamp::from_millis(at), *frame)
            .unwrap();
    }
    group.finish().unwrap();
}

fn their_group(track: &published::track::Producer, sequence: u64, frames: &[&'static str]) {
    let mut group = track
        .create_group(published::group::Info { sequence })
        .unwrap();
    for (at, frame) in (sequence * 10..).zip(frames) {
        group
            .write_frame(millis(at), bytes::Bytes::from(*frame))
            .unwrap();
    }
    group.finish().unwrap();
}

/// A reader of ours, of whom they know.
async fn our_reader(
    track: &published::track::Producer,
    found: &moq_net::BroadcastConsumer,
    wish: impl Into<Option<Subscription>>,
) -> moq_net::TrackSubscriber {
    let subscribing = found.track("v").unwrap().subscribe(wish).unwrap();
    let reader = soon("our subscribe", subscribing).await.unwrap();
    soon("demand", track.used()).await.unwrap();
    settle().await;
    reader
}

/// The next group that we read, whole.
async fn our_next(reader: &mut moq_net::TrackSubscriber) -> (u64, Vec<String>) {
    let mut group = soon("a group", reader.recv_group())
        .await
        .unwrap()
        .expect("more");
    let mut frames = Vec::new();
    while let Some(frame) = soon("a frame", group.read_frame()).await.unwrap() {
        frames.push(String::from_utf8(frame.to_vec()).unwrap());
    }
    (group.sequence(), frames)
}

async fn their_next(reader: &mut published::track::Subscriber) -> (u64, Vec<String>) {
    let mut group = soon("a group", reader.recv_group())
        .await
        .unwrap()
        .expect("more");
    let mut frames = Vec::new();
    while let Some(frame) = soon("a frame", group.read_frame()).await.unwrap() {
        frames.push(String::from_utf8(frame.payload.to_vec()).unwrap());
    }
    (group.sequence, frames)
}

#[tokio::test]
async fn datagrams_travel_both_ways() {
    for version in LATE {
        let pair = connect(version, Role::WeDial).await;
        let (_broadcast, track, found) = ours(&pair).await;
        let subscribing = found.track("v").unwrap().subscribe(None);
        let mut reader = soon("their subscribe", subscribing).await.unwrap();
        let write = async {
            track.used().await.unwrap();
            settle().await;
            track
                .write_datagram("dg", Timestamp::from_millis(7))
                .unwrap();
        };
        let (datagram, ()) = soon("a datagram", async {
            tokio::join!(reader.recv_datagram(), write)
        })
        .await;
        let datagram = datagram.unwrap().expect("open");
        assert_eq!(&datagram.payload[..], b"dg", "{version}");
        assert_eq!(datagram.timestamp, millis(7), "{version}");
    }
    for version in LATE {
        let pair = connect(version, Role::TheyDial).await;
        let (_broadcast, mut track, found) = theirs(&pair).await;
        let mut reader = our_reader(&track, &found, None).await;
        track
            .append_datagram(millis(7), bytes::Bytes::from("dg"))
            .unwrap();
        let datagram = soon("a datagram", reader.recv_datagram()).await.unwrap();
        let datagram = datagram.expect("open");
        assert_eq!(&datagram.payload[..], b"dg", "{version}");
        assert_eq!(datagram.timestamp, Some(Timestamp::from_millis(7)));
    }
}

#[tokio::test]
async fn readers_leave_and_come_back() {
    for version in CHANGING {
        let pair = connect(version, Role::WeDial).await;
        let (_broadcast, track, found) = theirs(&pair).await;
        let consumer = found.track("v").unwrap();
        let wish = Subscription::default().with_max_latency(Duration::from_secs(30));
        let mut reader = soon("our subscribe", consumer.subscribe(wish).unwrap())
            .await
            .unwrap();
        soon("demand", track.used()).await.unwrap();
        settle().await;
        their_group(&track, 0, &["a"]);
        assert_eq!(our_next(&mut reader).await.0, 0, "{version}");
        drop(reader);
        tokio::time::sleep(Duration::from_millis(300)).await;
        their_group(&track, 1, &["b"]);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(consumer.latest(), Some(0), "{version}: nobody reads");

        let mut reader = soon("our subscribe", consumer.subscribe(wish).unwrap())
            .await
            .unwrap();
        their_group(&track, 2, &["c"]);
        let mut seen = Vec::new();
        while seen.last() != Some(&2) {
            seen.push(our_next(&mut reader).await.0);
        }
        assert_eq!(seen, [0, 1, 2], "{version}");
    }
}

#[tokio::test]
async fn an_explicit_start_is_served_from_what_they_hold() {
    for version in CHANGING {
        let pair = connect(version, Role::WeDial).await;
        let (_broadcast, track, found) = theirs(&pair).await;
        for sequence in 0..4 {
            their_group(&track, sequence, &["x"]);
        }
        let wish = Subscription::default()
            .with_max_latency(Duration::from_secs(30))
            .with_group_start(1)
            .with_group_end(2);
        let subscribing = found.track("v").unwrap().subscribe(wish).unwrap();
        let mut reader = soon("our subscribe", subscribing).await.unwrap();
        let mut seen = [our_next(&mut reader).await.0, our_next(&mut reader).await.0];
        seen.sort_unstable();
        assert_eq!(seen, [1, 2], "{version}");
        let more = tokio::time::timeout(Duration::from_millis(300), reader.recv_group()).await;
        assert!(more.is_err(), "{version}: the end is a cap");
    }
}

#[tokio::test]
async fn they_move_the_end_of_a_subscription() {
    for version in CHANGING {
        let pair = connect(version, Role::WeDial).await;
        let (_broadcast, track, found) = ours(&pair).await;
        let wish = published::track::Subscription::default()
            .with_max_age(Duration::from_secs(30))
            .with_groups(0..=1);
        let subscribing = found.track("v").unwrap().subscribe(wish);
        let mut reader = soon("their subscribe", subscribing).await.unwrap();
        let write = async {
            track.used().await.unwrap();
            settle().await;
            for sequence in 0..4 {
                our_group(&track, sequence, &["x"]);
            }
        };
        let (first, ()) = soon("the first group", async {
            tokio::join!(their_next(&mut reader), write)
        })
        .await;
        let mut seen = vec![first.0, their_next(&mut reader).await.0];
        let more = tokio::time::timeout(Duration::from_millis(300), reader.recv_group()).await;
        assert!(more.is_err(), "{version}: the end is a cap");
        let wish = published::track::Subscription::default().with_max_age(Duration::from_secs(30));
        reader.update(wish.with_groups(0..)).unwrap();
        seen.extend([
            their_next(&mut reader).await.0,
            their_next(&mut reader).await.0,
        ]);
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3], "{version}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_on_either_side() {
    for version in CHANGING {
        let pair = connect(version, Role::WeDial).await;
        let (_broadcast, _track, found) = ours(&pair).await;
        let subscribing = found.track("w").unwrap().subscribe(None);
        let theirs = match soon("their answer", subscribing).await {
            Err(error) => error,
            Ok(mut reader) => soon("their answer", reader.recv_group())
                .await
                .err()
                .expect("no such track"),
        };
        assert!(
            format!("{theirs:?}").contains("NotFound"),
            "{version}: {theirs:?}"
        );
    }
    for version in CHANGING {
        let pair = connect(version, Role::WeDial).await;
        let (_broadcast, _track, found) = theirs(&pair).await;
        let pending = found.track("w").unwrap().subscribe(None).unwrap();
        let ours = soon("our answer", pending).await.map(|_| ());
        assert_eq!(ours, Err(Error::NotFound), "{version}");
        if version.has_fetch() {
            let track = found.track("v").unwrap();
            let fetch = soon("our fetch", track.fetch_group(77, None).unwrap()).await;
            assert_eq!(fetch.map(|_| ()), Err(Error::NotFound), "{version}");
        }
    }
}

#[tokio::test]
async fn the_reason_of_a_failed_track_travels() {
    for version in CHANGING {
        let pair = connect(version, Role::WeDial).await;
        let (_broadcast, track, found) = ours(&pair).await;
        let subscribing = found.track("v").unwrap().subscribe(None);
        let mut reader = soon("their subscribe", subscribing).await.unwrap();
        let fail = async {
            track.used().await.unwrap();
            settle().await;
            track.abort(Error::App(7)).unwrap();
        };
        let (end, ()) = soon("the end", async { tokio::join!(reader.recv_group(), fail) }).await;
        let end = end.map(|_| ());
        assert!(format!("{end:?}").contains("App(7)"), "{version}: {end:?}");
    }
    for version in CHANGING {
        let pair = connect(version, Role::WeDial).await;
        let (_broadcast, track, found) = theirs(&pair).await;
        let mut reader = our_reader(&track, &found, None).await;
        track.abort(published::Error::App(7)).unwrap();
        let end = soon("the end", reader.recv_group()).await.map(|_| ());
        assert_eq!(end, Err(Error::App(7)), "{version}");
    }
}

#[tokio::test]
async fn empty_things_travel_both_ways() {
    for version in CHANGING {
        let pair = connect(version, Role::WeDial).await;
        let (_broadcast, track, found) = theirs(&pair).await;
        let wish = Subscription::default().with_max_latency(Duration::from_secs(30));
        let mut reader = our_reader(&track, &found, wish).await;
        their_group(&track, 0, &[]);
        their_group(&track, 1, &["", "x", ""]);
        let mut seen = [our_next(&mut reader).await, our_next(&mut reader).await];
        seen.sort();
        assert_eq!(seen[0], (0, vec![]), "{version}");
        assert_eq!(seen[1].1, ["", "x", ""], "{version}");
        track.finish().unwrap();
        let end = soon("the end", reader.recv_group()).await;
        assert!(matches!(end, Ok(None)), "{version}");
    }
    for version in CHANGING {
        let pair = connect(version, Role::TheyDial).await;
        let (_broadcast, track, found) = ours(&pair).await;
        let wish = published::track::Subscription::default().with_max_age(Duration::from_secs(30));
        let subscribing = found.track("v").unwrap().subscribe(wish);
        let mut reader = soon("their subscribe", subscribing).await.unwrap();
        let write = async {
            track.used().await.unwrap();
            settle().await;
            our_group(&track, 0, &[]);
            our_group(&track, 1, &["", "x", ""]);
        };
        let (first, ()) = soon("the first group", async {
            tokio::join!(their_next(&mut reader), write)
        })
        .await;
        let mut seen = [first, their_next(&mut reader).await];
        seen.sort();
        assert_eq!(seen[0], (0, vec![]), "{version}");
        assert_eq!(seen[1].1, ["", "x", ""], "{version}");
        track.finish().unwrap();
        let end = soon("the end", reader.recv_group()).await;
        assert!(matches!(end, Ok(None)), "{version}");
    }
    // A track that ends before it has anything.
    for version in CHANGING {
        let pair = connect(version, Role::WeDial).await;
        let (_broadcast, track, found) = ours(&pair).await;
        let subscribing = found.track("v").unwrap().subscribe(None);
        let mut reader = soon("their subscribe", subscribing).await.unwrap();
        let finish = async {
            track.used().await.unwrap();
            settle().await;
            track.finish().unwrap();
        };
        let (end, ()) = soon("the end", async {
            tokio::join!(reader.recv_group(), finish)
        })
        .await;
        assert!(matches!(end, Ok(None)), "{version}: theirs");

        let pair = connect(version, Role::WeDial).await;
        let (_broadcast, track, found) = theirs(&pair).await;
        let mut reader = our_reader(&track, &found, None).await;
        track.finish().unwrap();
        let end = soon("the end", reader.recv_group()).await;
        assert!(matches!(end, Ok(None)), "{version}: ours");
    }
}

#[tokio::test]
async fn fetches_begin_where_they_say_and_follow_a_group_that_grows() {
    for version in LATE {
        let pair = connect(version, Role::WeDial).await;
        let (_broadcast, track, found) = ours(&pair).await;
        our_group(&track, 0, &["a", "b", "c"]);
        let wish = published::group::Fetch::default().with_frame_start(2);
        let fetching = found.track("v").unwrap().fetch_group(0, wish);
        let mut group = soon("their fetch", fetching).await.unwrap();
        let mut frames = Vec::new();
        while let Some(frame) = soon("a frame", group.read_frame()).await.unwrap() {
            frames.push(frame.payload);
        }
        assert_eq!(frames, ["c"], "{version}: theirs");
        let growing = track.create_group(Group { sequence: 1 }).unwrap();
        growing.write_timed(Timestamp::from_millis(1), "x").unwrap();
        let fetching = found.track("v").unwrap().fetch_group(1, None);
        let mut group = soon("their fetch", fetching).await.unwrap();
        assert!(soon("a frame", group.read_frame()).await.unwrap().is_some());
        growing.write_timed(Timestamp::from_millis(2), "y").unwrap();
        assert!(soon("a frame", group.read_frame()).await.unwrap().is_some());
        growing.abort(Error::App(9)).unwrap();
        let end = soon("the end", group.read_frame()).await;
        assert!(format!("{end:?}").contains("App(9)"), "{version}: {end:?}");
    }
    for version in LATE {
        let pair = connect(version, Role::WeDial).await;
        let (_broadcast, track, found) = theirs(&pair).await;
        their_group(&track, 0, &["a", "b", "c"]);
        let wish = moq_net::Fetch::default().with_frame_start(2);
        let reader = found.track("v").unwrap();
        let fetching = reader.fetch_group(0, wish).unwrap();
        let mut group = soon("our fetch", fetching).await.unwrap();
        let mut frames = Vec::new();
        while let Some(frame) = soon("a frame", group.read_frame()).await.unwrap() {
            frames.push(frame);
        }
        assert_eq!(frames, ["c"], "{version}: ours");
        let mut growing = track
            .create_group(published::group::Info { sequence: 1 })
            .unwrap();
        growing
            .write_frame(millis(1), bytes::Bytes::from("x"))
            .unwrap();
        let fetching = reader.fetch_group(1, None).unwrap();
        let mut group = soon("our fetch", fetching).await.unwrap();
        assert!(soon("a frame", group.read_frame()).await.unwrap().is_some());
        growing
            .write_frame(millis(2), bytes::Bytes::from("y"))
            .unwrap();
        assert!(soon("a frame", group.read_frame()).await.unwrap().is_some());
        growing.abort(published::Error::App(9)).unwrap();
        let end = soon("the end", group.read_frame()).await;
        assert_eq!(end, Err(Error::App(9)), "{version}");
    }
}

#[tokio::test]
async fn what_is_read_goes_on_when_its_broadcast_is_withdrawn() {
    for version in CHANGING {
        let pair = connect(version, Role::WeDial).await;
        let (broadcast, track, found) = theirs(&pair).await;
        let wish = Subscription::default().with_max_latency(Duration::from_secs(30));
        let mut reader = our_reader(&track, &found, wish).await;
        their_group(&track, 0, &["a"]);
        assert_eq!(our_next(&mut reader).await.0, 0, "{version}");
        broadcast.unannounce();
        soon("the end of the broadcast", found.closed()).await;
        their_group(&track, 1, &["b"]);
        assert_eq!(our_next(&mut reader).await.0, 1, "{version}");
        // And it may come back.
        broadcast.announce(Default::default()).unwrap();
        let path = Path::parse("room").unwrap();
        let consumer = pair.ours.consume();
        let again = soon("our look-up", consumer.announced_broadcast(&path)).await;
        let again = again.expect("announced again");
        let subscribing = again.track("v").unwrap().subscribe(wish).unwrap();
        let mut reader = soon("our subscribe", subscribing).await.unwrap();
        let write = async {
            settle().await;
            their_group(&track, 2, &["c"]);
        };
        let read = async { while our_next(&mut reader).await.0 != 2 {} };
        soon("the new group", async { tokio::join!(read, write) }).await;
    }
    for version in CHANGING {
        let pair = connect(version, Role::WeDial).await;
        let (broadcast, track, found) = ours(&pair).await;
        let wish = published::track::Subscription::default().with_max_age(Duration::from_secs(30));
        let subscribing = found.track("v").unwrap().subscribe(wish);
        let mut reader = soon("their subscribe", subscribing).await.unwrap();
        let write = async {
            track.used().await.unwrap();
            settle().await;
            our_group(&track, 0, &["a"]);
        };
        let (first, ()) = soon("the first group", async {
            tokio::join!(their_next(&mut reader), write)
        })
        .await;
        assert_eq!(first.0, 0, "{version}");
        drop(broadcast);
        settle().await;
        our_group(&track, 1, &["b"]);
        assert_eq!(their_next(&mut reader).await.0, 1, "{version}");
    }
}

#[tokio::test]
async fn a_session_that_drains_goes_on_meanwhile() {
    for version in [Version::Lite04, Version::Lite05, Version::Lite06] {
        let pair = connect(version, Role::TheyDial).await;
        let (_broadcast, track, found) = theirs(&pair).await;
        let mut reader = our_reader(&track, &found, None).await;
        pair.session.goaway("https://example.com/");
        settle().await;
        their_group(&track, 0, &["a"]);
        assert_eq!(our_next(&mut reader).await.0, 0, "{version}: it goes on");
        assert!(pair.session.close_reason().is_none(), "{version}");
    }
}

#[tokio::test]
async fn between_them_we_pass_on_prices_and_nobody_who_reads_notices() {
    for below in CHANGING {
        let runtime = runtime();
        let relay = Origin::random(&runtime).produce(&runtime);
        let up = connect_to(&runtime, relay.clone(), Version::Lite06, Role::TheyDial).await;
        let down = connect_to(&runtime, relay, below, Role::TheyDial).await;
        let (broadcast, track, passed) = theirs(&up).await;
        let consumer = down.theirs.consume();
        let found = soon("their look-up", consumer.routed_broadcast("room")).await;
        let found = found.expect("announced to them");
        let wish = published::track::Subscription::default().with_max_age(Duration::from_secs(30));
        let subscribing = found.track("v").unwrap().subscribe(wish);
        let mut reader = soon("their subscribe", subscribing).await.unwrap();
        let write = async {
            track.used().await.unwrap();
            settle().await;
            their_group(&track, 0, &["a"]);
        };
        let (first, ()) = soon("the first group", async {
            tokio::join!(their_next(&mut reader), write)
        })
        .await;
        assert_eq!(first.0, 0, "{below}");
        for cost in [9, 3] {
            let route = published::origin::Route::default().with_cost(cost);
            broadcast.announce(route).unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert!(!passed.is_closed(), "{below}: with us");
        assert!(!found.is_closed(), "{below}: with them");
        their_group(&track, 1, &["b"]);
        assert_eq!(their_next(&mut reader).await.0, 1, "{below}");
        // Whoever comes now has the same subscription upstream.
        let wish = published::track::Subscription::default().with_max_age(Duration::from_secs(30));
        let subscribing = found.track("v").unwrap().subscribe(wish);
        let mut second = soon("their subscribe", subscribing).await.unwrap();
        assert!(their_next(&mut second).await.0 <= 1, "{below}");
    }
}
