//! What only the operator may see: a listener of its own, without access control.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::relay::Relay;

/// The routes of the internal listener.
pub(crate) fn router(relay: Arc<Relay>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(|| async { "ok\n" }))
        .with_state(relay)
}

async fn metrics(State(relay): State<Arc<Relay>>) -> impl IntoResponse {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    let text = relay.metrics().text(relay.stats(), relay.panics());
    ([(header::CONTENT_TYPE, kind)], text)
}

/// Checks that only this machine can reach the listener, unless the operator said that others may.
///
/// # Errors
/// What to do about it.
pub(crate) fn check(address: SocketAddr, public: bool) -> Result<SocketAddr, String> {
    match address.ip().is_loopback() || public {
        true => Ok(address),
        false => Err(format!(
            "{address} is open to others: --internal-public says that this is meant"
        )),
    }
}
