//! Unannounced paths, served from other relays.

mod support;

use std::time::Duration;

use bytes::BytesMut;
use moq_net::{
    BroadcastPublish, Client, Config, Error, OriginProducer, Server, Session, Subject,
    Subscription, TrackInfo, TrackProducer, TrackSubscriber, Upstream, Upstreams, Version,
    coding::{Codes as _, Encode, Reader},
    lite::{ControlType, Subscribe, SubscribeOk, SubscribeReply},
};
use support::{
    executor::Task,
    net::{End, Net, path},
    transport::{Transport, pair},
};
use web_transport_trait::{SendStream as _, Session as _};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A relay: an origin, and the upstreams it serves unannounced paths from.
struct Relay {
    origin: OriginProducer,
    upstreams: Vec<Upstream>,
    _running: Task<()>,
}

impl Relay {
    fn new(net: &Net, id: u64, upstreams: usize) -> Self {
        let origin = net.origin(id);
        let mut all = Upstreams::new(&origin, &net.runtime);
        let upstreams = (0..upstreams).map(|_| all.add()).collect();
        let running = net.executor.spawn(all.run());
        Self {
            origin,
            upstreams,
            _running: running,
        }
    }

    /// Dials `above` as an upstream.
    fn dial(&self, net: &Net, number: usize, version: Version, above: &OriginProducer) -> Link {
        let (client_end, server_end) = pair(Net::options(version));
        let config = Config::new(net.runtime.clone()).with_versions([version]);
        let dial = Client::new(self.upstreams[number].config(config));
        let end = End::both(above);
        let accept = Server::new(end.config(&net.runtime, version));
        let accepted = async {
            let request = accept.accept(server_end.clone()).await.expect("accepted");
            request.ok(end.publish.clone(), end.subscribe.clone())
        };
        let dialed = async {
            let (session, driver) = dial.connect(client_end.clone()).await.expect("connected");
            drop(net.executor.spawn(driver));
            session
        };
        let (client, (server, driver)) = net
            .executor
            .run_until(futures_util::future::join(dialed, accepted));
        drop(net.executor.spawn(driver));
        net.executor.run_until_idle();
        Link {
            client_end,
            _sessions: (client, server),
        }
    }
}

struct Link {
    client_end: Transport,
    _sessions: (Session, Session),
}

fn publish(origin: &OriginProducer, text: &str) -> (BroadcastPublish, TrackProducer) {
    let broadcast = origin.create_broadcast(&path(text)).unwrap();
    let info = TrackInfo::default().with_cache(Duration::from_secs(60));
    let track = broadcast.create_track("v", info).unwrap();
    (broadcast, track)
}

/// Looks a track up at a relay as its sessions do, and subscribes.
async fn subscribe(origin: &OriginProducer, text: &str) -> Result<TrackSubscriber, Error> {
    let broadcast = origin.consume().request_broadcast(&path(text))?.await?;
    let wish = Subscription::default().with_max_latency(Duration::from_secs(5));
    broadcast.track("v")?.subscribe(wish)?.await
}

async fn frame(reader: &mut TrackSubscriber) -> Result<Option<Vec<u8>>, Error> {
    let Some(mut group) = reader.recv_group().await? else {
        return Ok(None);
    };
    Ok(group.read_frame().await?.map(|frame| frame.to_vec()))
}

/// The first frame, or why there is none: of some versions a subscription is told only then that there is no such track.
async fn read(origin: &OriginProducer, text: &str) -> Result<Option<Vec<u8>>, Error> {
    let mut reader = subscribe(origin, text).await?;
    frame(&mut reader).await
}

#[test]
fn an_unannounced_path_is_served_from_upstream_and_never_announced() {
    for version in Version::ALL {
        let net = Net::new();
        let edge = Relay::new(&net, 1, 1);
        let above = net.origin(2);
        let link = edge.dial(&net, 0, version, &above);
        let (_broadcast, track) = publish(&above, "room");
        net.executor.run_until_idle();
        let mut announced = edge.origin.consume().announced();
        let asked = link.client_end.opened().0;
        // Three at once share one subscription.
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let origin = edge.origin.clone();
                net.executor
                    .spawn(async move { subscribe(&origin, "room").await })
            })
            .collect();
        let mut readers: Vec<_> = tasks
            .into_iter()
            .map(|task| net.executor.run_until(task).expect("served"))
            .collect();
        track.write_frame("x").unwrap();
        for reader in &mut readers {
            let read = net.executor.run_until(frame(reader));
            assert_eq!(read, Ok(Some(b"x".to_vec())), "{version}");
        }
        let asked = link.client_end.opened().0 - asked;
        assert_eq!(
            asked,
            1 + u64::from(version.has_track_stream()),
            "{version}"
        );
        assert!(announced.try_next().is_none(), "{version}: never announced");
    }
}

#[test]
fn what_nobody_has_announced_is_asked_for_all_the_way_up() {
    for version in Version::ALL {
        let net = Net::new();
        let (edge, middle) = (Relay::new(&net, 1, 1), Relay::new(&net, 2, 1));
        let top = net.origin(3);
        let _one = edge.dial(&net, 0, version, &middle.origin);
        let _two = middle.dial(&net, 0, version, &top);
        let (_broadcast, track) = publish(&top, "room");
        net.executor.run_until_idle();
        let mut reader = net
            .executor
            .run_until(subscribe(&edge.origin, "room"))
            .expect("served");
        track.write_frame("x").unwrap();
        let read = net.executor.run_until(frame(&mut reader));
        assert_eq!(read, Ok(Some(b"x".to_vec())), "{version}");
        let missing = net.executor.run_until(subscribe(&edge.origin, "other"));
        assert_eq!(missing.err(), Some(Error::NotFound), "{version}");
    }
}

#[test]
fn relays_that_are_each_others_upstream_say_at_once_that_nobody_has_it() {
    for version in Version::ALL {
        for size in [1_usize, 2, 3, 5] {
            let net = Net::new();
            let ring: Vec<_> = (1..=size as u64)
                .map(|id| Relay::new(&net, id, 1))
                .collect();
            let links: Vec<_> = (0..size)
                .map(|at| ring[at].dial(&net, 0, version, &ring[(at + 1) % size].origin))
                .collect();
            net.executor.run_until_idle();
            let before = net.executor.now();
            let missing = net.executor.run_until(subscribe(&ring[0].origin, "room"));
            assert_eq!(
                missing.err(),
                Some(Error::NotFound),
                "{version}, ring of {size}"
            );
            let took = net.executor.now() - before;
            assert!(
                took < Duration::from_secs(1),
                "{version}, ring of {size}: {took:?}"
            );
            // Each was asked the question about the ring and the one for the track, and no more.
            let opened = |end: &Transport| end.opened().0;
            let before: Vec<_> = links.iter().map(|link| opened(&link.client_end)).collect();
            net.executor.advance(Duration::from_secs(5));
            let after: Vec<_> = links.iter().map(|link| opened(&link.client_end)).collect();
            assert_eq!(
                before, after,
                "{version}, ring of {size}: it goes on by itself"
            );

            // What one of them has is there for all, once nobody remembers that it was not.
            net.executor.advance(Duration::from_secs(2));
            let (_broadcast, track) = publish(&ring[size - 1].origin, "room");
            net.executor.run_until_idle();
            let mut reader = net
                .executor
                .run_until(subscribe(&ring[0].origin, "room"))
                .expect("served");
            track.write_frame("x").unwrap();
            let read = net.executor.run_until(frame(&mut reader));
            assert_eq!(read, Ok(Some(b"x".to_vec())), "{version}, ring of {size}");
        }
    }
}

#[test]
fn whoever_comes_later_is_not_served_from_who_asks_through_it() {
    let nameless = Version::ALL
        .into_iter()
        .filter(|version| !version.has_hop_ids());
    for version in nameless {
        let net = Net::new();
        let (one, two) = (Relay::new(&net, 1, 1), Relay::new(&net, 2, 1));
        let _up = one.dial(&net, 0, Version::Lite07Wip, &two.origin);
        let first = two.dial(&net, 0, version, &one.origin);
        net.executor.run_until_idle();
        let missing = net.executor.run_until(read(&one.origin, "room"));
        assert_eq!(missing.err(), Some(Error::NotFound), "{version}");
        // What was put together stays for a while, but the next session goes by another name.
        first.client_end.kill();
        net.executor.run_until_idle();
        let _second = two.dial(&net, 0, version, &one.origin);
        net.executor.advance(Duration::from_secs(2));
        let before = net.executor.now();
        let missing = net.executor.run_until(read(&one.origin, "room"));
        assert_eq!(missing.err(), Some(Error::NotFound), "{version}");
        let took = net.executor.now() - before;
        assert!(took < Duration::from_secs(1), "{version}: {took:?}");
    }
}

/// Connects the first upstream of `edge` over `end`, whose other end the test drives as it likes.
fn dial_by_hand(net: &Net, edge: &Relay, version: Version, end: &Transport) -> Session {
    let config = Config::new(net.runtime.clone()).with_versions([version]);
    let dial = Client::new(edge.upstreams[0].config(config));
    let (session, driver) = net
        .executor
        .run_until(dial.connect(end.clone()))
        .expect("connected");
    drop(net.executor.spawn(driver));
    net.executor.run_until_idle();
    session
}

#[test]
fn an_upstream_that_does_not_say_who_asks_it_is_not_asked() {
    let net = Net::new();
    let edge = Relay::new(&net, 1, 1);
    // Nobody drives the far end.
    let (client_end, _server_end) = pair(Net::options(Version::Lite04));
    let _session = dial_by_hand(&net, &edge, Version::Lite04, &client_end);
    let before = (net.executor.now(), client_end.opened().0);
    let missing = net.executor.run_until(subscribe(&edge.origin, "room"));
    assert_eq!(missing.err(), Some(Error::Timeout));
    let took = net.executor.now() - before.0;
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_eq!(client_end.opened().0 - before.1, 1, "only the question");
}

#[test]
fn an_upstream_where_the_question_broke_off_is_not_asked() {
    let version = Version::Lite04;
    let not_found = version.stream_code(&Error::NotFound, Subject::Data);
    // Some take every subscription, and only then say no.
    for taken in [false, true] {
        for (code, answered) in [(0x4242, false), (not_found, true)] {
            let net = Net::new();
            let edge = Relay::new(&net, 1, 1);
            let (client_end, server_end) = pair(Net::options(version));
            let refusing = refuse(server_end, version, taken, code);
            let asked = net.executor.spawn(refusing);
            let _session = dial_by_hand(&net, &edge, version, &client_end);
            let missing = net.executor.run_until(read(&edge.origin, "room"));
            let expected = match answered {
                true => Error::NotFound,
                false => Error::Timeout,
            };
            assert_eq!(missing.err(), Some(expected), "{code:#x}, taken: {taken}");
            client_end.kill();
            let paths = net.executor.run_until(asked);
            let room = paths.iter().filter(|path| *path == "room").count();
            assert_eq!(room, usize::from(answered), "{code:#x}: {paths:?}");
        }
    }
}

/// Refuses every subscription with `code`, some only once it is `taken`: what was asked for.
async fn refuse(end: Transport, version: Version, taken: bool, code: u32) -> Vec<String> {
    let mut paths = Vec::new();
    let mut open = Vec::new();
    while let Ok((mut send, recv)) = end.accept_bi().await {
        let mut reader = Reader::new(recv, version);
        if reader.decode::<ControlType>().await != Ok(ControlType::Subscribe) {
            open.push((send, reader));
            continue;
        }
        let asked: Subscribe = reader.decode().await.expect("a subscription");
        paths.push(asked.broadcast.as_str().to_owned());
        if taken {
            let mut bytes = BytesMut::new();
            let ok = SubscribeReply::Ok(SubscribeOk::default());
            ok.encode(&mut bytes, version).expect("encodes");
            send.write(&bytes).await.expect("still there");
        }
        send.reset(code);
    }
    paths
}

#[test]
fn a_question_does_not_go_round_in_somebody_elses_ring() {
    for version in Version::ALL {
        let net = Net::new();
        let (edge, one, two) = (
            Relay::new(&net, 1, 1),
            Relay::new(&net, 2, 1),
            Relay::new(&net, 3, 1),
        );
        let _links = [
            edge.dial(&net, 0, Version::Lite06, &one.origin),
            one.dial(&net, 0, version, &two.origin),
            two.dial(&net, 0, version, &one.origin),
        ];
        net.executor.run_until_idle();
        let before = net.executor.now();
        let missing = net.executor.run_until(read(&edge.origin, "room"));
        assert_eq!(missing.err(), Some(Error::NotFound), "{version}");
        let took = net.executor.now() - before;
        assert!(took < Duration::from_secs(1), "{version}: {took:?}");
    }
}

#[test]
fn when_one_of_two_upstreams_dies_the_other_serves() {
    for version in Version::ALL {
        let net = Net::new();
        let edge = Relay::new(&net, 1, 2);
        let (one, two) = (net.origin(2), net.origin(3));
        let first = edge.dial(&net, 0, version, &one);
        let _second = edge.dial(&net, 1, version, &two);
        let (_here, from_one) = publish(&one, "room");
        let (_there, from_two) = publish(&two, "room");
        net.executor.run_until_idle();
        let served = net.executor.run_until(subscribe(&edge.origin, "room"));
        let mut reader = served.expect("served");
        from_one.write_frame("one").unwrap();
        let read = net.executor.run_until(frame(&mut reader));
        assert_eq!(
            read,
            Ok(Some(b"one".to_vec())),
            "{version}: the first is asked first"
        );

        let before = net.executor.now();
        first.client_end.kill();
        // Known at once; whoever reads asks again and goes on with the other.
        let lost = net.executor.run_until(frame(&mut reader));
        assert!(lost.is_err(), "{version}: {lost:?}");
        let again = net.executor.run_until(subscribe(&edge.origin, "room"));
        let mut reader = again.expect("served by the other");
        from_two.write_frame("two").unwrap();
        let read = net.executor.run_until(frame(&mut reader));
        assert_eq!(read, Ok(Some(b"two".to_vec())), "{version}");
        let took = net.executor.now() - before;
        assert!(took < Duration::from_secs(2), "{version}: {took:?}");
    }
}

#[test]
fn what_the_first_upstream_does_not_have_the_second_is_asked_for() {
    for version in Version::ALL {
        let net = Net::new();
        let edge = Relay::new(&net, 1, 2);
        // Neither announces it: it is above the second.
        let (one, two) = (Relay::new(&net, 2, 0), Relay::new(&net, 3, 1));
        let top = net.origin(4);
        let _links = [
            edge.dial(&net, 0, version, &one.origin),
            edge.dial(&net, 1, version, &two.origin),
            two.dial(&net, 0, version, &top),
        ];
        let (_broadcast, track) = publish(&top, "room");
        net.executor.run_until_idle();
        let served = net.executor.run_until(subscribe(&edge.origin, "room"));
        let mut reader = served.expect("served");
        track.write_frame("x").unwrap();
        let read = net.executor.run_until(frame(&mut reader));
        assert_eq!(read, Ok(Some(b"x".to_vec())), "{version}");
    }
}

#[test]
fn a_request_waits_for_an_upstream_that_is_on_its_way() {
    let version = Version::Lite06;
    let net = Net::new();
    let edge = Relay::new(&net, 1, 1);
    let origin = edge.origin.clone();
    let waiting = net
        .executor
        .spawn(async move { subscribe(&origin, "room").await });
    net.executor.advance(Duration::from_secs(1));
    assert!(!waiting.is_finished());
    let above = net.origin(2);
    let (_broadcast, _track) = publish(&above, "room");
    let link = edge.dial(&net, 0, version, &above);
    assert!(net.executor.run_until(waiting).is_ok());

    // Not for ever.
    drop(link);
    net.executor.run_until_idle();
    let before = net.executor.now();
    let refused = net.executor.run_until(subscribe(&edge.origin, "other"));
    assert_eq!(refused.err(), Some(Error::Timeout));
    assert!(net.executor.now() - before <= Duration::from_secs(3));
}

#[test]
fn an_upstream_that_is_away_is_not_taken_for_one_that_has_nothing() {
    for version in Version::ALL {
        let net = Net::new();
        let edge = Relay::new(&net, 1, 1);
        let above = net.origin(2);
        let (_broadcast, track) = publish(&above, "room");
        // Never announced to the edge: what it serves is put together.
        let middle = Relay::new(&net, 3, 1);
        let _up = middle.dial(&net, 0, version, &above);
        let link = edge.dial(&net, 0, version, &middle.origin);
        let room = net
            .executor
            .run_until(async {
                edge.origin
                    .consume()
                    .request_broadcast(&path("room"))?
                    .await
            })
            .expect("served");
        link.client_end.kill();
        net.executor.run_until_idle();
        let asked = net
            .executor
            .run_until(async { room.track("v")?.subscribe(None)?.await });
        assert_eq!(asked.err(), Some(Error::Dropped), "{version}");

        // Who asks again gets it as soon as the upstream is back.
        let origin = edge.origin.clone();
        let waiting = net
            .executor
            .spawn(async move { subscribe(&origin, "room").await });
        net.executor.advance(Duration::from_secs(1));
        assert!(!waiting.is_finished(), "{version}");
        let _again = edge.dial(&net, 0, version, &middle.origin);
        let mut reader = net.executor.run_until(waiting).expect("served again");
        track.write_frame("x").unwrap();
        let read = net.executor.run_until(frame(&mut reader));
        assert_eq!(read, Ok(Some(b"x".to_vec())), "{version}");
    }
}

#[test]
fn what_is_served_again_under_the_same_path_is_not_taken_for_what_it_was() {
    for version in [Version::Lite04, Version::Lite05, Version::Lite06] {
        let net = Net::new();
        let edge = Relay::new(&net, 1, 1);
        let above = net.origin(2);
        let _link = edge.dial(&net, 0, version, &above);
        let (broadcast, track) = publish(&above, "room");
        net.executor.run_until_idle();
        let served = net.executor.run_until(subscribe(&edge.origin, "room"));
        let mut reader = served.expect("served");
        track.write_frame("old").unwrap();
        track.finish().unwrap();
        let read = net.executor.run_until(frame(&mut reader));
        assert_eq!(read, Ok(Some(b"old".to_vec())), "{version}");
        // The reader still holds it when its publisher comes back.
        drop((broadcast, track));
        net.executor.run_until_idle();
        let (_broadcast, track) = publish(&above, "room");
        net.executor.run_until_idle();
        let served = net.executor.run_until(subscribe(&edge.origin, "room"));
        let mut again = served.expect("served");
        track.write_frame("new").unwrap();
        let read = net.executor.run_until(frame(&mut again));
        assert_eq!(read, Ok(Some(b"new".to_vec())), "{version}");
    }
}

#[test]
fn properties_are_told_where_they_only_come_with_a_subscription() {
    let net = Net::new();
    let (publisher, relay, viewer) = (net.origin(1), net.origin(2), net.origin(3));
    let upstream = Version::Lite05Wip;
    let _up = net.connect(upstream, &End::publish(&publisher), &End::subscribe(&relay));
    let down = Version::Lite05;
    let _down = net.connect(down, &End::subscribe(&viewer), &End::publish(&relay));
    let (_broadcast, _track) = publish(&publisher, "room");
    // The viewer asks for properties before anything else, and nobody is subscribed.
    let info = net.executor.run_for(Duration::from_secs(5), async {
        let found = viewer
            .consume()
            .announced_broadcast(&path("room"))
            .await
            .unwrap();
        found.track("v").unwrap().info().await
    });
    let info = info.expect("an answer").unwrap();
    assert_eq!(info.cache, Duration::from_secs(60));
}

#[test]
fn a_fetch_brings_no_more_than_is_wanted_where_the_version_can_say_it() {
    for version in Version::ALL
        .into_iter()
        .filter(|version| version.has_fetch())
    {
        for partial in [false, true] {
            let net = Net::new();
            let (publisher, viewer) = (net.origin(1), net.origin(2));
            let (client_end, server_end) = pair(Net::options(version));
            let end = End::subscribe(&viewer);
            let mut config = end.config(&net.runtime, version);
            config.whole_groups = !partial;
            let accept = Server::new(End::publish(&publisher).config(&net.runtime, version));
            let accepting = async {
                let request = accept.accept(server_end).await.expect("accepted");
                request.ok(Some(publisher.consume()), None)
            };
            let client = Client::new(config);
            let dialing = async {
                let (session, driver) = client.connect(client_end).await.expect("connected");
                drop(net.executor.spawn(driver));
                session
            };
            let both = futures_util::future::join(dialing, accepting);
            let (_session, (_server, driver)) = net.executor.run_until(both);
            drop(net.executor.spawn(driver));
            let (_broadcast, track) = publish(&publisher, "room");
            let group = track.create_group(0).unwrap();
            for text in ["a", "b", "c", "d"] {
                group.write_frame(text).unwrap();
            }
            group.finish().unwrap();
            let (rest, held) = net.executor.run_until(async {
                let found = viewer
                    .consume()
                    .announced_broadcast(&path("room"))
                    .await
                    .unwrap();
                let track = found.track("v").unwrap();
                let wish = moq_net::Fetch::default().with_frame_start(2);
                let mut group = track.fetch_group(0, wish).unwrap().await.unwrap();
                let mut rest = Vec::new();
                while let Some(frame) = group.read_frame().await.unwrap() {
                    rest.push(frame);
                }
                // Whoever wants all of it gets all of it, whatever is held.
                let mut whole = track.fetch_group(0, None).unwrap().await.unwrap();
                assert_eq!(
                    whole.read_frame().await.unwrap(),
                    Some("a".into()),
                    "{version}"
                );
                (rest, track.latest())
            });
            assert_eq!(rest, ["c", "d"], "{version}, partial: {partial}");
            assert_eq!(held, None, "{version}: a fetch moves no live edge");
        }
    }
}
