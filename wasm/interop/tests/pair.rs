//! Our core and the published one in one process, on every version both speak, in both roles and both directions.

use std::time::Duration;

use bytes::Bytes;
use moq_net::{Group, Path, Timescale, Timestamp, TrackInfo, Version};
use moq_worker_interop::pair::{Pair, Role, connect, settle, soon};
use published_moq_net as published;

const GROUPS: u64 = 5;
const FRAMES: u64 = 20;
const STEP: u64 = 7;

fn payload(group: u64, frame: u64) -> Bytes {
    // Sizes from nothing to more than one read, so that headers and payloads fall apart.
    let size = [0, 1, 63, 1_200, 20_000][usize::try_from((group + frame) % 5).unwrap()];
    let byte = u8::try_from((group * 31 + frame) % 251).unwrap();
    Bytes::from(vec![byte; size])
}

fn millis(group: u64, frame: u64) -> u64 {
    (group * FRAMES + frame) * STEP
}

fn timed(version: Version) -> bool {
    version.has_timestamps()
}

/// Our side publishes; groups stay in the cache for fetches.
fn publish_ours(pair: &Pair) -> (moq_net::BroadcastPublish, moq_net::TrackProducer) {
    let broadcast = pair
        .ours
        .create_broadcast(&Path::parse("room/ours").unwrap())
        .unwrap();
    let info = TrackInfo::default().with_cache(Duration::from_secs(60));
    let info = if timed(pair.version) {
        info.with_timescale(Timescale::MILLI)
    } else {
        info
    };
    let track = broadcast.create_track("data", info).unwrap();
    (broadcast, track)
}

fn write_ours(track: &moq_net::TrackProducer, version: Version) {
    for sequence in 0..GROUPS {
        let group = track.create_group(Group { sequence }).unwrap();
        for frame in 0..FRAMES {
            let data = payload(sequence, frame);
            if timed(version) {
                group
                    .write_timed(Timestamp::from_millis(millis(sequence, frame)), data)
                    .unwrap();
            } else {
                group.write_frame(data).unwrap();
            }
        }
        group.finish().unwrap();
    }
}

async fn they_read(version: Version, role: Role) {
    let pair = connect(version, role).await;
    let (broadcast, track) = publish_ours(&pair);
    let consumer = pair.theirs.consume();
    let found = soon("their look-up", consumer.routed_broadcast("room/ours"))
        .await
        .expect("announced to them");
    let subscription =
        published::track::Subscription::default().with_max_age(Duration::from_secs(30));
    let mut subscriber = soon(
        "their subscribe",
        found.track("data").unwrap().subscribe(subscription),
    )
    .await
    .unwrap();
    // The subscription is open before anything is written: every version starts with the first group then. They open it
    // when they first wait for a group.
    let write = async {
        track.used().await.unwrap();
        settle().await;
        write_ours(&track, version);
    };
    let (first, ()) = soon("the first group", async {
        tokio::join!(subscriber.recv_group(), write)
    })
    .await;
    let mut next = Some(first.unwrap().expect("a group"));

    let mut seen = std::collections::BTreeMap::new();
    while seen.len() < usize::try_from(GROUPS).unwrap() {
        let mut group = match next.take() {
            Some(group) => group,
            None => soon("a group", subscriber.recv_group())
                .await
                .unwrap()
                .expect("more groups"),
        };
        let sequence = group.sequence;
        let mut frames = 0;
        while let Some(frame) = soon("a frame", group.read_frame()).await.unwrap() {
            assert_eq!(
                frame.payload,
                payload(sequence, frames),
                "group {sequence} frame {frames}"
            );
            if timed(version) {
                let expected = published::Timestamp::from_millis(millis(sequence, frames)).unwrap();
                assert_eq!(frame.timestamp, expected);
            }
            frames += 1;
        }
        assert_eq!(frames, FRAMES, "group {sequence} is whole");
        seen.insert(sequence, frames);
    }

    if version.has_fetch() {
        let mut group = soon(
            "their fetch",
            found.track("data").unwrap().fetch_group(2, None),
        )
        .await
        .unwrap();
        let mut frames = 0;
        while let Some(frame) = soon("a fetched frame", group.read_frame()).await.unwrap() {
            assert_eq!(frame.payload, payload(2, frames));
            frames += 1;
        }
        assert_eq!(frames, FRAMES);
    }
    track.finish().unwrap();
    let end = soon("the end of the track", subscriber.recv_group())
        .await
        .map(|group| group.is_some());
    assert!(matches!(end, Ok(false)), "a clean end, not {end:?}");
    drop(broadcast);
}

async fn we_read(version: Version, role: Role) {
    let pair = connect(version, role).await;
    let broadcast = pair.theirs.create_broadcast("room/theirs").unwrap();
    broadcast.announce(Default::default()).unwrap();
    let info = published::track::Info::default()
        .with_timescale(published::Timescale::MILLI)
        .with_max_age(Duration::from_secs(60));
    let track = broadcast.create_track("data", info).unwrap();

    let consumer = pair.ours.consume();
    let path = Path::parse("room/theirs").unwrap();
    let found = soon("our look-up", consumer.announced_broadcast(&path))
        .await
        .expect("announced to us");
    let subscription = moq_net::Subscription::default().with_max_latency(Duration::from_secs(30));
    let reader = found.track("data").unwrap();
    let mut subscriber = soon("our subscribe", reader.subscribe(subscription).unwrap())
        .await
        .unwrap();
    soon("demand", track.used()).await.unwrap();
    settle().await;
    for sequence in 0..GROUPS {
        let mut group = track
            .create_group(published::group::Info { sequence })
            .unwrap();
        for frame in 0..FRAMES {
            let at = published::Timestamp::from_millis(millis(sequence, frame)).unwrap();
            group.write_frame(at, payload(sequence, frame)).unwrap();
        }
        group.finish().unwrap();
    }

    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < usize::try_from(GROUPS).unwrap() {
        let mut group = soon("a group", subscriber.recv_group())
            .await
            .unwrap()
            .expect("more groups");
        let sequence = group.sequence();
        let mut frames = 0;
        while let Some(mut frame) = soon("a frame", group.next_frame()).await.unwrap() {
            if timed(version) {
                let expected = Timestamp::from_millis(millis(sequence, frames));
                assert_eq!(
                    frame.timestamp(),
                    Some(expected),
                    "group {sequence} frame {frames}"
                );
            }
            let data = soon("a payload", frame.read_all()).await.unwrap();
            assert_eq!(
                data,
                payload(sequence, frames),
                "group {sequence} frame {frames}"
            );
            frames += 1;
        }
        assert_eq!(frames, FRAMES, "group {sequence} is whole");
        assert!(seen.insert(sequence), "group {sequence} came once");
    }

    if version.has_fetch() {
        let mut group = soon("our fetch", reader.fetch_group(2, None).unwrap())
            .await
            .unwrap();
        let mut frames = 0;
        while let Some(data) = soon("a fetched frame", group.read_frame()).await.unwrap() {
            assert_eq!(data, payload(2, frames));
            frames += 1;
        }
        assert_eq!(frames, FRAMES);
    }
    track.finish().unwrap();
    let end = soon("the end of the track", subscriber.recv_group())
        .await
        .map(|group| group.is_some());
    assert!(matches!(end, Ok(false)), "a clean end, not {end:?}");
}

/// Relays change prices whenever somebody begins or ceases to read: nobody who reads may notice. (Theirs begin anew on 01 and 02.)
async fn they_change_the_price(version: Version, role: Role) {
    if !version.has_hops() {
        return;
    }
    let pair = connect(version, role).await;
    let broadcast = pair.theirs.create_broadcast("room/theirs").unwrap();
    let dear = published::origin::Route::default().with_cost(9);
    broadcast.announce(dear).unwrap();
    let mut announced = pair.ours.consume().announced();
    let (_, event) = soon("the announcement", announced.next()).await.unwrap();
    let found = event.broadcast().expect("announced to us");

    let cheap = published::origin::Route::default().with_cost(3);
    broadcast.announce(cheap).unwrap();
    if version.has_route_cost() {
        let (_, event) = soon("the new price", announced.next()).await.unwrap();
        let same = event.broadcast().expect("still announced");
        assert!(same.is_clone(&found), "the same broadcast");
        assert_eq!(same.info().cost.warm, 4, "and the link");
    } else {
        // Longer than they wait before they tell of such a change.
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert!(announced.try_next().is_none(), "no price on this version");
    }
    assert!(!found.is_closed());
}

macro_rules! versions {
    ($($name:ident = $version:ident),* $(,)?) => {$(
        mod $name {
            use super::*;

            #[tokio::test]
            async fn they_read_what_we_publish_when_we_dial() {
                they_read(Version::$version, Role::WeDial).await;
            }

            #[tokio::test]
            async fn they_read_what_we_publish_when_they_dial() {
                they_read(Version::$version, Role::TheyDial).await;
            }

            #[tokio::test]
            async fn we_read_what_they_publish_when_we_dial() {
                we_read(Version::$version, Role::WeDial).await;
            }

            #[tokio::test]
            async fn we_read_what_they_publish_when_they_dial() {
                we_read(Version::$version, Role::TheyDial).await;
            }

            #[tokio::test]
            async fn a_broadcast_stays_when_they_change_its_price() {
                they_change_the_price(Version::$version, Role::WeDial).await;
            }
        }
    )*};
}

versions! {
    lite_01 = Lite01,
    lite_02 = Lite02,
    lite_03 = Lite03,
    lite_04 = Lite04,
    lite_05 = Lite05,
    lite_06 = Lite06,
    lite_07_wip = Lite07Wip,
}
