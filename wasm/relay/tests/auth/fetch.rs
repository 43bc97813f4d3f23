//! Old groups over HTTP: who may have them, and for how long.

use std::time::{Duration, Instant};

use moq_net::TrackInfo;
use moq_worker_relay::auth::Claims;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::world::{Binding, Directory, at, claims, key, soon, start};

#[tokio::test]
async fn a_group_is_for_those_who_may_read_its_broadcast() {
    let directory = Directory::new();
    let ours = key("ES256", "main");
    let file = directory.write("key.jwk", &ours.public_json().unwrap());
    let relay = start(&["--auth-key", &file, "--auth-public-get", "open"]).await;
    let jwt = |claims: &Claims| format!("jwt={}", ours.sign(claims).unwrap());
    let all = jwt(&claims("", &[""], &[""]));
    let target = format!("/?{all}");
    let publisher = relay.dial(Binding::Quic, &target).await.unwrap();
    let mut tracks = Vec::new();
    for name in ["demo/room", "demo/rooms", "open/air"] {
        let broadcast = publisher.publish(name);
        let track = broadcast.create_track("data", TrackInfo::default());
        let track = track.unwrap();
        track.write_frame(name.as_bytes().to_vec()).unwrap();
        tracks.push((broadcast, track));
    }
    let viewer = relay.dial(Binding::Quic, &target).await.unwrap();
    viewer.sees(&["demo/room", "demo/rooms", "open/air"]).await;

    let room = jwt(&claims("demo", &[], &["room"]));
    let deeper = jwt(&claims("demo", &[], &["room/a"]));
    let writer = jwt(&claims("demo", &["room"], &[]));
    let expired = jwt(&Claims {
        exp: Some(at(-1.0)),
        ..claims("demo", &[], &["room"])
    });
    let foreign = key("ES256", "main").sign(&claims("", &[], &[""])).unwrap();
    let foreign = format!("jwt={foreign}");
    for (path, query, status) in [
        ("demo/room", "", 401),
        ("demo/room", "jwt=", 401),
        ("demo/room", &expired, 401),
        ("demo/room", &foreign, 401),
        ("demo/room", &all, 200),
        ("demo/room", &room, 200),
        ("d%65mo/room", &room, 200),
        ("demo/rooms", &room, 403),
        ("Demo/room", &room, 403),
        ("demo", &room, 404),
        ("demo/room", &deeper, 404),
        ("demo/room", &writer, 404),
        ("demo%2Froom", &all, 400),
        ("demo//room", &all, 400),
        ("demo/%2e%2e/demo/room", &all, 400),
        ("open/air", "", 200),
        ("open/air", &room, 403),
    ] {
        let start = Instant::now();
        let target = format!("/fetch/{path}/data?group=0&{query}");
        let (got, body) = relay.get(&target, &[]).await;
        assert_eq!(got, status, "{target}: {body}");
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{path} is decided at once"
        );
    }
    let page = ["Origin: https://evil.example"];
    let (bridged, _) = relay.get("/fetch/open/air/data?group=0", &page).await;
    assert_eq!(bridged, 403, "a page elsewhere has no token");
}

#[tokio::test]
async fn a_body_ends_broken_within_a_second_of_its_token() {
    let directory = Directory::new();
    let ours = key("ES256", "main");
    let file = directory.write("key.jwk", &ours.public_json().unwrap());
    let relay = start(&["--auth-key", &file]).await;
    let all = ours.sign(&claims("", &[""], &[""])).unwrap();
    let target = format!("/?jwt={all}");
    let publisher = relay.dial(Binding::Quic, &target).await.unwrap();
    let broadcast = publisher.publish("demo");
    let track = broadcast.create_track("data", TrackInfo::default());
    let track = track.unwrap();
    // A group that goes on for ever.
    let group = track.append_group().unwrap();
    group.write_frame("first").unwrap();
    let viewer = relay.dial(Binding::Quic, &target).await.unwrap();
    viewer.sees(&["demo"]).await;

    let end = at(1.5);
    let short = Claims {
        exp: Some(end),
        ..claims("", &[], &[""])
    };
    let short = ours.sign(&short).unwrap();
    let mut socket = tokio::net::TcpStream::connect(relay.address).await.unwrap();
    let request = format!(
        "GET /fetch/demo/data?group=latest&jwt={short} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset is as good an end as any but the proper one.
    let _end = soon("the end", socket.read_to_end(&mut answer)).await;
    let late = at(0.0) - end;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("first"),
        "what was there was sent: {answer}"
    );
    assert!(
        !answer.ends_with("0\r\n\r\n"),
        "the body looks whole: {answer}"
    );
    assert!((-0.1..1.0).contains(&late), "{late} s late");
}

#[tokio::test]
async fn nobody_waits_for_a_group_longer_than_the_token_lasts() {
    let directory = Directory::new();
    let ours = key("ES256", "main");
    let file = directory.write("key.jwk", &ours.public_json().unwrap());
    let relay = start(&["--auth-key", &file]).await;
    let end = at(1.5);
    let short = Claims {
        exp: Some(end),
        ..claims("", &[], &[""])
    };
    let short = ours.sign(&short).unwrap();
    // Nobody has it, and it would be waited for.
    let (status, body) = relay
        .get(&format!("/fetch/demo/data?jwt={short}"), &[])
        .await;
    let late = at(0.0) - end;
    assert_eq!(status, 401, "{body}");
    assert!((-0.1..1.0).contains(&late), "{late} s late");
}
