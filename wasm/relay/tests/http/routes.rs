//! The routes, asked over a bare socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use moq_net::{Limits, Version};
use moq_worker_relay::certificate::Certificate;
use moq_worker_relay::relay::Relay;
use moq_worker_relay::server::Server;
use web_transport_quinn as wt;
use wt::proto::ConnectRequest;

/// A listening relay and the fingerprint of its certificate.
pub(crate) fn start() -> (SocketAddr, String) {
    let certificate = Certificate::self_signed(&["localhost".into()]).unwrap();
    let relay = Relay::new(Limits::relay(), Version::DEFAULT.to_vec());
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), &certificate, relay).unwrap();
    let address = server.address();
    tokio::spawn(server.run(std::future::pending()));
    (address, certificate.fingerprint)
}

/// Status line, headers and body of one request.
pub(crate) async fn ask(address: SocketAddr, request: String) -> String {
    let exchange = move || {
        let mut socket = TcpStream::connect(address).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    ask(address, request).await
}

pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a head and a body").1
}

#[tokio::test]
async fn the_certificate_route_gives_exactly_64_digits() {
    let (address, fingerprint) = start();
    let answer = get(address, "/certificate.sha256").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(body(&answer), fingerprint);
    assert!(
        answer
            .to_lowercase()
            .contains("access-control-allow-origin: *")
    );
}

#[tokio::test]
async fn a_certificate_near_its_end_is_replaced_by_the_one_that_is_told() {
    let names = ["localhost".to_owned()];
    let end = time::OffsetDateTime::now_utc() + Duration::from_secs(3600);
    let old = Certificate::until(&names, end).unwrap();
    let relay = Relay::new(Limits::relay(), Version::DEFAULT.to_vec());
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), &old, relay).unwrap();
    let address = server.address();
    let url: url::Url = format!("https://localhost:{}/", address.port())
        .parse()
        .unwrap();
    let dial = async |fingerprint: &str| {
        let hex = |at: usize| u8::from_str_radix(&fingerprint[2 * at..2 * at + 2], 16).unwrap();
        let hash = (0..32).map(hex).collect();
        let client = wt::ClientBuilder::new().with_server_certificate_hashes(vec![hash]);
        let request = ConnectRequest::new(url.clone()).with_protocol(Version::Lite04.alpn());
        client.unwrap().connect(request).await
    };
    tokio::spawn(server.run(std::future::pending()));
    let mut told = old.fingerprint.clone();
    while told == old.fingerprint {
        told = body(&get(address, "/certificate.sha256").await).to_owned();
    }
    assert!(dial(&told).await.is_ok(), "what is told is what is shown");
    assert!(dial(&old.fingerprint).await.is_err(), "the old one is gone");
}

#[tokio::test]
async fn health_and_an_empty_list_of_announcements() {
    let (address, _) = start();
    assert_eq!(body(&get(address, "/health").await), "ok\n");
    assert_eq!(body(&get(address, "/announced").await), "");
    assert_eq!(body(&get(address, "/announced/room").await), "");
}

#[tokio::test]
async fn an_unknown_path_says_what_this_is() {
    let (address, _) = start();
    let answer = get(address, "/nothing").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(body(&answer).contains("MoQ relay"));
}

#[tokio::test]
async fn a_group_without_a_broadcast_or_a_track_makes_no_sense() {
    let (address, _) = start();
    for path in [
        "/fetch",
        "/fetch/",
        "/fetch/room",
        "/fetch/room/",
        "/fetch//data",
    ] {
        let answer = get(address, path).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn an_upgrade_without_a_common_protocol_is_refused() {
    let (address, _) = start();
    for (protocols, key) in [("chat, other", true), ("qmux-01.moq-lite-06", false)] {
        let key = if key {
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        } else {
            ""
        };
        let request = format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\n{key}Sec-WebSocket-Protocol: {protocols}\r\n\r\n"
        );
        let answer = ask(address, request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{protocols}: {answer}");
    }
}
