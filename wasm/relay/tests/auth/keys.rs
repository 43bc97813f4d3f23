//! Keys from an HTTP server that may be slow, wrong or away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use clap::Parser as _;
use futures_util::future::join_all;
use moq_worker_relay::auth::Authority;
use moq_worker_relay::flags::Flags;

use super::world::{BINDINGS, Binding, Denied, claims, key, soon, start};

/// A server of keys.
struct Server {
    url: String,
    hits: Arc<AtomicUsize>,
    status: Arc<AtomicU16>,
}

/// Answers every path ending in `name` with `text` and the status set, everything else with 404.
async fn serve(name: &'static str, text: String) -> Server {
    let hits = Arc::<AtomicUsize>::default();
    let status = Arc::new(AtomicU16::new(200));
    let (counted, answered) = (hits.clone(), status.clone());
    let answer = move |request: axum::extract::Request| {
        counted.fetch_add(1, Ordering::SeqCst);
        let code = answered.load(Ordering::SeqCst);
        let found = request.uri().path().ends_with(name);
        let text = text.clone();
        async move {
            if code == 0 {
                std::future::pending::<()>().await;
            }
            match found {
                true => (StatusCode::from_u16(code).unwrap(), text),
                false => (StatusCode::NOT_FOUND, String::new()),
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Server { url, hits, status }
}

#[tokio::test]
async fn keys_are_read_once_for_all_who_come_together() {
    let ours = key("ES256", "main");
    let server = serve("/main.jwk", ours.public_json().unwrap()).await;
    let relay = start(&["--auth-key-dir", &format!("{}/keys", server.url)]).await;
    let target = format!("/?jwt={}", ours.sign(&claims("", &[], &[""])).unwrap());
    let many = (0..30).map(|at| relay.dial(BINDINGS[at % 3], &target));
    for peer in join_all(many).await {
        assert!(peer.is_ok());
    }
    assert_eq!(server.hits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn names_that_are_not_there_are_asked_for_once_in_a_while() {
    let server = serve("/main.jwk", String::new()).await;
    let relay = start(&["--auth-key-dir", &server.url]).await;
    let stranger = key("ES256", "stranger");
    let target = format!("/?jwt={}", stranger.sign(&claims("", &[], &[""])).unwrap());
    for round in 0..10 {
        let binding = BINDINGS[round % 3];
        let refused = relay.dial(binding, &target).await.err();
        assert_eq!(refused, Some(Denied::with(401, binding)));
    }
    assert_eq!(server.hits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn while_keys_cannot_be_read_nobody_new_comes_in() {
    let ours = key("ES256", "main");
    for (status, text) in [
        (500, ours.public_json().unwrap()),
        (301, ours.public_json().unwrap()),
        (200, "no key".to_owned()),
    ] {
        let server = serve("/main.jwk", text).await;
        server.status.store(status, Ordering::SeqCst);
        let relay = start(&["--auth-key-dir", &server.url]).await;
        let target = format!("/?jwt={}", ours.sign(&claims("", &[], &[""])).unwrap());
        for binding in BINDINGS {
            let refused = relay.dial(binding, &target).await.err();
            assert_eq!(refused, Some(Denied::with(502, binding)), "{status}");
        }
        assert_eq!(relay.get(&format!("/announced{target}"), &[]).await.0, 502);
    }
    let away = start(&["--auth-key-dir", "http://127.0.0.1:9"]).await;
    let target = format!("/?jwt={}", ours.sign(&claims("", &[], &[""])).unwrap());
    let refused = away.dial(Binding::Quic, &target).await.err();
    assert_eq!(refused, Some(Denied::with(502, Binding::Quic)));
}

#[tokio::test]
async fn a_silent_server_of_keys_holds_nobody_up_for_long() {
    let ours = key("ES256", "main");
    let server = serve("/main.jwk", ours.public_json().unwrap()).await;
    server.status.store(0, Ordering::SeqCst);
    let relay = start(&["--auth-key-dir", &server.url, "--auth-public-get", "open"]).await;
    let target = format!("/?jwt={}", ours.sign(&claims("", &[], &[""])).unwrap());
    let start = Instant::now();
    let (refused, open) = tokio::join!(
        relay.dial(Binding::WebTransport, &target),
        relay.dial(Binding::WebTransport, "/open"),
    );
    assert_eq!(
        refused.err(),
        Some(Denied::with(502, Binding::WebTransport))
    );
    assert!(open.is_ok(), "who needs no key waits for none");
    assert!(
        start.elapsed() < Duration::from_secs(7),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_set_may_gain_keys() {
    let first = key("ES256", "first");
    let second = key("ES256", "second");
    let directory = super::world::Directory::new();
    let set = |keys: &[String]| format!(r#"{{"keys":[{}]}}"#, keys.join(","));
    let one = first.public_json().unwrap();
    let file = directory.write("set.json", &set(std::slice::from_ref(&one)));
    let relay = start(&["--auth-key", &file]).await;
    let target = |key: &moq_worker_relay::auth::SigningKey| {
        format!("/?jwt={}", key.sign(&claims("", &[], &[""])).unwrap())
    };
    assert!(relay.dial(Binding::Quic, &target(&first)).await.is_ok());
    let early = relay.dial(Binding::Quic, &target(&second)).await.err();
    assert_eq!(early, Some(Denied::with(401, Binding::Quic)));
    directory.write("set.json", &set(&[one, second.public_json().unwrap()]));
    soon("the new key", async {
        while relay.dial(Binding::Quic, &target(&second)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn settings_that_cannot_be_meant_stop_the_start() {
    let made = async |bind: &str, arguments: &[&str]| {
        let flags = Flags::try_parse_from(["relay"].iter().chain(arguments)).unwrap();
        Authority::new(&flags.auth, bind.parse().unwrap(), &[]).await
    };
    for bind in ["0.0.0.0:1", "[::]:1", "192.168.0.1:1", "203.0.113.1:1"] {
        assert!(
            made(bind, &[]).await.is_err(),
            "{bind} would be open to everybody"
        );
        assert!(made(bind, &["--auth-public", ""]).await.is_ok(), "{bind}");
    }
    assert!(made("127.0.0.1:1", &[]).await.is_ok());
    for arguments in [
        ["--auth-key", "/nowhere/key.jwk"],
        ["--auth-key", "http://keys.example/key.jwk"],
        ["--auth-key", "ftp://keys.example/key.jwk"],
        ["--auth-key-dir", "http://keys.example/"],
        ["--allow-origin", "app.example"],
    ] {
        assert!(
            made("127.0.0.1:1", &arguments).await.is_err(),
            "{arguments:?}"
        );
    }
    for arguments in [
        ["--auth-key", "a", "--auth-key-dir", "b"].as_slice(),
        &["--auth-peer", "a=b"],
        &["--auth-peer-ca", "a"],
    ] {
        let parsed = Flags::try_parse_from(["relay"].iter().chain(arguments));
        assert!(parsed.is_err(), "{arguments:?}");
    }
}
