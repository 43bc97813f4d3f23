//! Requests to a relay that is another process; only that they are made counts.

use std::net::SocketAddr;

use moq_net::Version;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use web_transport_quinn as wt;
use web_transport_trait::Session as _;
use wt::proto::ConnectRequest;

use super::world::soon;

/// Asks for `target` over WebTransport, WebSocket and HTTP, whatever the answers are.
pub(crate) async fn everywhere(address: SocketAddr, fingerprint: &str, target: &str) {
    let hash: Vec<u8> = (0..fingerprint.len() / 2)
        .map(|at| u8::from_str_radix(&fingerprint[at * 2..at * 2 + 2], 16).unwrap())
        .collect();
    let url = format!("https://localhost:{}{target}", address.port());
    let request =
        ConnectRequest::new(url.parse::<url::Url>().unwrap()).with_protocol(Version::Lite04.alpn());
    let client = wt::ClientBuilder::new()
        .with_server_certificate_hashes(vec![hash])
        .unwrap();
    let session = soon("WebTransport", client.connect(request)).await.unwrap();
    session.close(0, b"");
    let socket = qmux::ws::Client::new()
        .with_protocol(Version::Lite06.alpn(), &[qmux::Version::QMux01])
        .require_protocol();
    let socket = soon(
        "WebSocket",
        socket.connect(&format!("ws://{address}{target}")),
    )
    .await;
    if let Ok(session) = socket {
        session.close(0, "");
    }
    let mut http = tokio::net::TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET /announced{target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    http.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon("HTTP", http.read_to_end(&mut answer)).await.unwrap();
}
