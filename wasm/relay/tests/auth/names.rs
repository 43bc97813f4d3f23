//! A client that knows names it has no right to, and asks for them by hand.

use moq_net::coding::{Encode, Reader, Writer};
use moq_net::lite::{ControlType, Fetch, Preferences, Subscribe, SubscribeReply, TrackQuery};
use moq_net::{Error, Path, PathOwned, TrackInfo, Version};

use super::world::{BINDINGS, Binding, Dial, Directory, Wire, claims, key, soon, start};

fn path(text: &str) -> PathOwned {
    Path::parse(text).unwrap().into_owned()
}

/// What the answer to a request begins with, or why there is none.
async fn ask<T: web_transport_trait::Session, M: Encode<Version>>(
    transport: &T,
    version: Version,
    kind: ControlType,
    message: &M,
) -> Result<(), Error> {
    let (send, receive) = transport.open_bi().await.unwrap();
    let mut writer = Writer::new(send, version);
    writer.put(&kind).unwrap();
    writer.put(message).unwrap();
    writer.flush().await.unwrap();
    let mut reader = Reader::new(receive, version);
    let answer = match kind {
        ControlType::Subscribe => reader.decode::<SubscribeReply>().await.map(drop),
        _ => reader.read_exact_chunk(1).await.map(drop),
    };
    writer.finish().await.ok();
    answer
}

async fn all_requests<T: web_transport_trait::Session>(
    transport: &T,
    broadcast: &str,
    id: u64,
) -> Vec<Result<(), Error>> {
    let version = Version::Lite06;
    let subscribe = Subscribe {
        id,
        broadcast: path(broadcast),
        track: "data".to_owned(),
        preferences: Preferences::default(),
    };
    let track = TrackQuery {
        broadcast: path(broadcast),
        track: "data".to_owned(),
    };
    let fetch = Fetch {
        broadcast: path(broadcast),
        track: "data".to_owned(),
        priority: 0,
        group: 0,
        frame_start: 0,
        frame_end: None,
    };
    vec![
        soon(
            "SUBSCRIBE",
            ask(transport, version, ControlType::Subscribe, &subscribe),
        )
        .await,
        soon("TRACK", ask(transport, version, ControlType::Track, &track)).await,
        soon("FETCH", ask(transport, version, ControlType::Fetch, &fetch)).await,
    ]
}

#[tokio::test]
async fn a_name_outside_the_rights_is_not_found_and_the_session_lives() {
    let directory = Directory::new();
    let ours = key("ES256", "main");
    let file = directory.write("key.jwk", &ours.public_json().unwrap());
    let relay = start(&["--auth-key", &file]).await;
    let token = |claims| ours.sign(&claims).unwrap();
    let all = token(claims("", &[""], &[""]));
    let target = format!("/?jwt={all}");
    let publisher = relay.dial(Binding::Quic, &target).await.unwrap();
    let mut tracks = Vec::new();
    for name in ["demo/room", "demo/rooms", "demo/other"] {
        let broadcast = publisher.publish(name);
        let track = broadcast
            .create_track("data", TrackInfo::default())
            .unwrap();
        track.write_frame(name.as_bytes().to_vec()).unwrap();
        tracks.push((broadcast, track));
    }
    let scoped = token(claims("demo", &["other"], &["room"]));
    for binding in BINDINGS {
        let viewer = relay
            .dial_as(binding, &format!("/demo?jwt={scoped}"), Dial::default())
            .await
            .unwrap();
        viewer.sees(&["room"]).await;
        let mut id = 1_000;
        for (broadcast, allowed) in [
            ("rooms", false),
            ("other", false),
            ("nothing", false),
            ("demo/room", false),
            ("", false),
            ("room", true),
        ] {
            id += 1;
            let answers = match &viewer.wire {
                Wire::Quic(transport) => all_requests(&**transport, broadcast, id).await,
                Wire::Mux(transport) => all_requests(&**transport, broadcast, id).await,
            };
            for answer in answers {
                match (allowed, answer) {
                    (true, answer) => assert_eq!(answer, Ok(()), "{binding:?} {broadcast}"),
                    // Out of scope looks like unknown.
                    (false, answer) => {
                        assert_eq!(answer, Err(Error::NotFound), "{binding:?} {broadcast}");
                    }
                }
            }
        }
        assert_eq!(viewer.session.close_reason().map(|close| close.error), None);
    }
}
