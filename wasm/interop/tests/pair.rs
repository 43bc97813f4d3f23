//! Our core and the published one in one process, on every version both speak, in both roles and both directions.

use std::time::Duration;

use bytes::Bytes;
use moq_net::{
    Client, Config, Group, Origin, OriginProducer, Path, Server, Timescale, Timestamp, TrackInfo,
    Version,
};
use moq_worker_interop::{
    link,
    ours::Ours,
    published::Published,
    world::{PATIENCE, runtime},
};
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

#[derive(Clone, Copy, Debug)]
enum Role {
    WeDial,
    TheyDial,
}

/// Two connected sessions: ours on one origin, theirs on another.
struct Pair {
    ours: OriginProducer,
    theirs: published::origin::Producer,
    version: Version,
    _session: moq_net::Session,
    _published: published::Session,
}

async fn connect(version: Version, role: Role) -> Pair {
    let runtime = runtime();
    let ours = Origin::random(&runtime).produce(&runtime);
    let theirs = moq_tokio::origin::spawn();
    let (a, b) = link::pair();
    // moq-lite-01 and 02 share a token; the version itself is agreed in the first messages.
    let token = Some(version.alpn());
    let (a, b) = (Ours::new(a, token), Published::new(b, token));
    let config = Config::new(runtime.clone()).with_versions([version]);
    let only: published::Version = version
        .name()
        .parse()
        .expect("the published crate knows the version");
    let now = std::time::Instant::now();

    let (session, peer) = match role {
        Role::WeDial => {
            let server = published::Server::new()
                .with_versions(only.into())
                .with_origin(theirs.clone());
            let config = config
                .with_publish(ours.consume())
                .with_subscribe(ours.clone());
            let client = Client::new(config);
            let dial = async {
                let (session, driver) = client.connect(a).await.expect("our client connects");
                tokio::spawn(driver);
                session
            };
            let accept = async {
                let (peer, driver) = server.accept(now, b).await.expect("their server accepts");
                tokio::spawn(published::time::run(driver));
                peer
            };
            let (session, peer) = soon("the handshake", async { tokio::join!(dial, accept) }).await;
            (session, peer)
        }
        Role::TheyDial => {
            let client = published::Client::new()
                .with_versions(only.into())
                .with_origin(theirs.clone());
            let accept = async {
                let server = Server::new(config);
                let request = server.accept(a).await.expect("our server accepts");
                let (session, driver) = request.ok(Some(ours.consume()), Some(ours.clone()));
                tokio::spawn(driver);
                session
            };
            let dial = async {
                let (peer, driver) = client.connect(now, b).await.expect("their client connects");
                tokio::spawn(published::time::run(driver));
                peer
            };
            soon("the handshake", async { tokio::join!(accept, dial) }).await
        }
    };
    assert_eq!(session.version(), version);
    Pair {
        ours,
        theirs,
        version,
        _session: session,
        _published: peer,
    }
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

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} takes too long"))
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
        tokio::time::sleep(Duration::from_millis(50)).await;
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
    tokio::time::sleep(Duration::from_millis(50)).await;
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
