//! The TCP side's front door: how many requests at a time, and how large.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tracing::Instrument;

use crate::admission::{Door, Guest};
use crate::bounds::Bounds;

/// The least that the HTTP library can read a head with.
const LEAST_HEAD: usize = 8192;

/// How long a listener rests that has no more file descriptors.
const REST: Duration = Duration::from_millis(100);

/// Serves `router` until the listener fails.
///
/// # Errors
/// The listener failed for good.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Arc<Bounds>,
) -> io::Result<()> {
    let door = Door::new(bounds.requests, bounds.address_requests);
    // Those who are turned away hear why, as long as they are not a flood themselves.
    let lobby = Door::new(bounds.requests, bounds.requests);
    let router = router.layer(from_fn_with_state(bounds.clone(), measured));
    let busy = Router::new().fallback(|| async { turned_away() });
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_of_the_client(&error) => continue,
            Err(error) => {
                tracing::error!(%error, "cannot accept");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let (guest, router) = match door.enter(Some(peer.ip())) {
            Ok(guest) => (guest, router.clone()),
            Err(_full) => match lobby.enter(None) {
                Ok(guest) => (guest, busy.clone()),
                Err(_full) => continue,
            },
        };
        let client = tracing::error_span!("client", %peer);
        tokio::spawn(connection(socket, guest, router, bounds.clone()).instrument(client));
    }
}

/// Whether only one connection failed.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// Serves the requests of one connection, until it becomes a WebSocket or ends.
async fn connection(socket: TcpStream, guest: Guest, router: Router, bounds: Arc<Bounds>) {
    let service = TowerToHyperService::new(router);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.handshake_timeout)
        .max_buf_size(bounds.head.max(LEAST_HEAD))
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades()
        .await;
    drop(guest);
    if let Err(error) = served {
        tracing::debug!(%error, "HTTP connection ended");
    }
}

/// Refuses what is too large before anybody looks at it.
async fn measured(
    axum::extract::State(bounds): axum::extract::State<Arc<Bounds>>,
    request: Request,
    next: Next,
) -> Response {
    let target = request.uri().path_and_query();
    if target.is_some_and(|target| target.as_str().len() > bounds.target) {
        return (StatusCode::URI_TOO_LONG, "target too long\n").into_response();
    }
    let headers = request.headers();
    let head: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if head > bounds.head {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return (status, "head too long\n").into_response();
    }
    let empty = headers
        .get(header::CONTENT_LENGTH)
        .is_none_or(|length| length == "0");
    if !empty || headers.contains_key(header::TRANSFER_ENCODING) {
        return (StatusCode::PAYLOAD_TOO_LARGE, "no request has a body\n").into_response();
    }
    next.run(request).await
}

fn turned_away() -> Response {
    let headers = [(header::RETRY_AFTER, "1"), (header::CONNECTION, "close")];
    (
        StatusCode::SERVICE_UNAVAILABLE,
        headers,
        "too many requests at a time\n",
    )
        .into_response()
}
