//! Web pages: by origin where no token decides, and by the name they used for the relay.

use moq_net::Error;

use super::world::{Binding, Denied, Dial, Directory, Running, claims, key, start};

const FOREIGN: &str = "https://evil.example";
const LOCAL: &str = "http://localhost:4173";

/// Statuses of WebSocket and HTTP, and what WebTransport says, for a page of this origin.
async fn ways(relay: &Running, target: &str, page: &str) -> (u16, u16, Option<Denied>) {
    let origin = format!("Origin: {page}");
    let socket = relay.upgrade(target, &[&origin]).await;
    let (http, _) = relay.get(&format!("/announced{target}"), &[&origin]).await;
    let dial = Dial {
        page: Some(page),
        ..Dial::default()
    };
    let web = relay.dial_as(Binding::WebTransport, target, dial).await;
    (socket, http, web.err())
}

fn refused() -> (u16, u16, Option<Denied>) {
    (403, 403, Some(Denied::Session(Error::Unauthorized)))
}

#[tokio::test]
async fn without_a_token_only_pages_of_this_machine_may_use_a_relay_on_it() {
    let relay = start(&[]).await;
    assert_eq!(ways(&relay, "/", LOCAL).await, (101, 200, None));
    assert_eq!(
        relay.upgrade("/", &[]).await,
        101,
        "programs have no origin"
    );
    for page in [FOREIGN, "null", "http://localhost.evil.example"] {
        assert_eq!(ways(&relay, "/", page).await, refused(), "{page}");
    }
    let twice = ["Origin: http://localhost", "Origin: https://evil.example"];
    assert_eq!(relay.upgrade("/", &twice).await, 403);
}

#[tokio::test]
async fn a_name_that_was_pointed_at_this_machine_is_refused() {
    let relay = start(&["--name", "relay.example"]).await;
    for (host, status) in [
        ("rebound.example:4443", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1", 200),
        ("[::1]:4443", 200),
        ("relay.example", 200),
    ] {
        let host = format!("Host: {host}");
        assert_eq!(relay.get("/announced", &[&host]).await.0, status, "{host}");
        let socket = if status == 200 { 101 } else { status };
        assert_eq!(relay.upgrade("/", &[&host]).await, socket, "{host}");
    }
}

#[tokio::test]
async fn with_a_token_the_token_decides_unless_pages_are_listed() {
    let directory = Directory::new();
    let ours = key("ES256", "main");
    let file = directory.write("key.jwk", &ours.public_json().unwrap());
    let target = format!("/?jwt={}", ours.sign(&claims("", &[""], &[""])).unwrap());
    let any = start(&["--auth-key", &file]).await;
    assert_eq!(ways(&any, &target, FOREIGN).await, (101, 200, None));
    let arguments = ["--auth-key", &file, "--allow-origin", "https://app.example"];
    let listed = start(&arguments).await;
    assert_eq!(ways(&listed, &target, FOREIGN).await, refused());
    assert_eq!(ways(&listed, &target, LOCAL).await, refused());
    let ours = ways(&listed, &target, "https://app.example").await;
    assert_eq!(ours, (101, 200, None));
    assert_eq!(listed.upgrade(&target, &[]).await, 101);
}
