//! The TCP side: HTTP routes and MoQ over WebSocket.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::TokioIo;
use moq_net::{Announced, Version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tracing::Instrument as _;

use crate::auth::{Access, Asked};
use crate::bounds::Bounds;
use crate::certificate::Fingerprint;
use crate::fetch;
use crate::http::Seat;
use crate::relay::{Carrier, Entry, Relay};

/// The largest record this end advertises; a WebSocket message carries one.
const MAX_RECORD: usize = 16_382;

/// The WebSocket library needs room for what it collects and for one more message.
const LEAST_UNSENT: usize = 256 << 10;

#[derive(Clone)]
struct Shared {
    relay: Arc<Relay>,
    fingerprint: Fingerprint,
}

/// All HTTP routes; any other path takes WebSocket upgrades.
pub fn router(relay: Arc<Relay>, fingerprint: impl Into<Fingerprint>) -> Router {
    Router::new()
        .route("/certificate.sha256", get(certificate))
        .route("/health", get(|| async { "ok\n" }))
        .route("/announced", get(announced))
        .route("/announced/", get(announced))
        .route("/announced/{*prefix}", get(announced))
        .route("/fetch", get(fetched))
        .route("/fetch/", get(fetched))
        .route("/fetch/{*path}", get(fetched))
        .fallback(other)
        .layer(axum::middleware::map_response(cors))
        .with_state(Shared {
            relay,
            fingerprint: fingerprint.into(),
        })
}

/// Any page may read these routes; none of them looks at cookies.
async fn cors(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET"),
    );
    // Addresses hold tokens.
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

async fn certificate(State(shared): State<Shared>) -> String {
    shared.fingerprint.get()
}

/// One announced path per line, relative to the prefix. Every line is terminated, so that a
/// broadcast exactly at the prefix (an empty line) differs from no broadcast (no line).
async fn announced(State(shared): State<Shared>, request: Request) -> Response {
    let uri = request.uri();
    let prefix = uri.path().strip_prefix("/announced").unwrap_or_default();
    let access = match Asked::resource(prefix, uri, request.headers()) {
        Ok(asked) => shared.relay.authorize(&asked).await,
        Err(refusal) => Err(refusal),
    };
    let access = match access {
        Ok(access) => access,
        Err(refusal) => return refusal.into_response(),
    };
    // Whoever may only publish sees nothing.
    let Some(origin) = access.read else {
        return String::new().into_response();
    };
    let mut cursor = origin.announced();
    let mut body = String::new();
    while let Some((path, event)) = cursor.try_next() {
        // Whoever breaks the line would be listing names of others.
        let listed = !path.as_str().contains(char::is_control);
        if listed && !matches!(event, Announced::Ended) {
            body.push_str(path.as_str());
            body.push('\n');
        }
    }
    body.into_response()
}

async fn fetched(State(shared): State<Shared>, request: Request) -> Response {
    fetch::serve(shared.relay, request).await
}

async fn other(State(shared): State<Shared>, request: Request) -> Response {
    if request.method() != Method::GET || !is_upgrade(request.headers()) {
        let text = "This is a MoQ relay. Connect with WebTransport, QUIC or WebSocket.\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    }
    upgrade(shared, request).await
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    let has = |name, token: &str| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
            .is_some_and(|value| {
                value
                    .split(',')
                    .any(|part| part.trim().eq_ignore_ascii_case(token))
            })
    };
    has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "websocket")
}

async fn upgrade(shared: Shared, mut request: Request) -> Response {
    if shared.relay.is_full() {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many sessions\n").into_response();
    }
    let headers = request.headers();
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
        return (StatusCode::BAD_REQUEST, "missing Sec-WebSocket-Key\n").into_response();
    };
    if headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .map(HeaderValue::as_bytes)
        != Some(b"13")
    {
        return (
            StatusCode::BAD_REQUEST,
            "only WebSocket version 13 is supported\n",
        )
            .into_response();
    }
    let accept = derive_accept_key(key.as_bytes());
    let offered: Vec<&str> = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
        .collect();
    let protocol = select(&shared.relay, &offered);
    // Nothing offered is the legacy framing; offers without a match are refused.
    if protocol.is_none() && !offered.is_empty() {
        return (
            StatusCode::BAD_REQUEST,
            "no common WebSocket sub-protocol\n",
        )
            .into_response();
    }

    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(protocol) = &protocol {
        response = response.header(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    let Ok(response) = response.body(Body::empty()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };

    let target = request.uri().path_and_query();
    let asked = Asked::target(target.map_or("", |target| target.as_str()));
    let access = match shared
        .relay
        .authorize(&asked.with_headers(request.headers()))
        .await
    {
        Ok(access) => access,
        Err(refusal) => return refusal.into_response(),
    };
    let seat = request.extensions().get::<Seat>().cloned();
    let upgraded = hyper::upgrade::on(&mut request);
    let served = async move {
        match upgraded.await {
            Ok(socket) => session(shared, TokioIo::new(socket), protocol, access, seat).await,
            Err(error) => tracing::info!(%error, "WebSocket upgrade failed"),
        }
    };
    // What it causes in the log is the client's.
    tokio::spawn(served.in_current_span());
    response
}

async fn session(
    shared: Shared,
    socket: TokioIo<hyper::upgrade::Upgraded>,
    protocol: Option<String>,
    access: Access,
    seat: Option<Seat>,
) {
    let bounds = shared.relay.bounds();
    let window = match shared.relay.budget().is_tight() {
        true => bounds.tight_recv_window,
        false => bounds.recv_window,
    };
    let limits = Some(websocket_limits(bounds));
    let socket = WebSocketStream::from_raw_socket(socket, Role::Server, limits).await;
    let upgraded = upgraded(socket, protocol.as_deref(), bounds, window);
    let entry = Entry::Decided(Ok(access));
    // Until its session begins it is somebody who asks for something.
    let admit = |_: &Access| drop(seat);
    let served = shared
        .relay
        .serve_from(upgraded.accept(), Carrier::WebSocket, entry, admit);
    match served.await {
        Ok(()) => tracing::info!("WebSocket session closed"),
        Err(error) => tracing::info!(%error, "WebSocket session ended"),
    }
}

/// What one WebSocket message may be, and how much may wait to be sent.
pub(crate) fn websocket_limits(bounds: &Bounds) -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(bounds.message))
        .max_frame_size(Some(bounds.message))
        .max_write_buffer_size(bounds.unsent.max(LEAST_UNSENT))
}

/// A WebSocket as a transport, on either side, on which `window` bytes may wait to be read.
pub(crate) fn upgraded<S>(
    socket: WebSocketStream<S>,
    protocol: Option<&str>,
    bounds: &Bounds,
    window: usize,
) -> qmux::ws::Upgraded<WebSocketStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut config = qmux::Config::default();
    config.max_record_size = MAX_RECORD.min(bounds.message) as u64;
    config.max_streams_bidi = bounds.bidi_streams as u64;
    config.max_streams_uni = bounds.uni_streams as u64;
    config.max_data = window as u64;
    config.max_stream_data_bidi_local = bounds.stream_window as u64;
    config.max_stream_data_bidi_remote = bounds.stream_window as u64;
    config.max_stream_data_uni = bounds.stream_window as u64;
    let upgraded = qmux::ws::Upgraded::new(socket)
        .with_session_config(config)
        .with_keep_alive(qmux::ws::KeepAlive::new(
            bounds.socket_idle / 6,
            bounds.socket_idle,
        ));
    match protocol {
        Some(protocol) => upgraded.with_alpn(protocol),
        None => upgraded,
    }
}

/// The sub-protocols of these versions, each in every framing, best first.
pub(crate) fn framed(versions: &[Version]) -> impl Iterator<Item = String> {
    let alpns = Version::alpns(versions);
    alpns.into_iter().flat_map(|alpn| {
        ["qmux-02", "qmux-01", "qmux-00"]
            .into_iter()
            .map(move |framing| format!("{framing}.{alpn}"))
    })
}

/// The first entry of the relay's own list that the client offered: each version newest first in
/// all prefixed framings, then the bare framings, where versions are exchanged in band.
fn select(relay: &Relay, offered: &[&str]) -> Option<String> {
    let bare = ["qmux-02", "qmux-01", "qmux-00", "webtransport"].map(str::to_owned);
    framed(relay.versions())
        .chain(bare)
        .find(|token| offered.contains(&token.as_str()))
}
