//! The TCP side's front door: how many requests at a time, how large, and how slow.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
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
        let (socket, peer) = match accept(&listener).await {
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

/// The next connection. What is written leaves at once: a WebSocket carries live media in many small pieces.
async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (socket, peer) = listener.accept().await?;
    // It fails for those who are gone again, which shows soon enough.
    let _gone = socket.set_nodelay(true);
    Ok((socket, peer))
}

/// The place of a connection among the requests, an extension of each of its requests: whoever keeps it is counted.
#[derive(Clone)]
pub(crate) struct Seat {
    _guest: Arc<Guest>,
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
    let router = TowerToHyperService::new(router);
    let (clock, mut expired) = Clock::new(bounds.clone());
    let seat = Seat {
        _guest: Arc::new(guest),
    };
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(seat.clone());
        clock.asked();
        let (answer, clock) = (router.call(request), clock.clone());
        async move {
            let response = answer.await?;
            clock.answered(&response);
            let timed = response.map(|body| Body::new(Timed { body, clock }));
            Ok::<_, Infallible>(timed)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.handshake_timeout)
        .max_buf_size(bounds.head.max(LEAST_HEAD))
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    tokio::select! {
        served = served => if let Err(error) = served {
            tracing::debug!(%error, "HTTP connection ended");
        },
        () = expired.wait() => tracing::debug!("HTTP connection cut off: it takes too long"),
    }
}

/// When an answer has to be read to its end, if its handler decides that: an extension of the response.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(pub(crate) Instant);

/// How long a connection may still take for what it is at. Nothing that its client does in between makes it longer.
#[derive(Clone)]
struct Clock {
    deadline: Arc<watch::Sender<Instant>>,
    bounds: Arc<Bounds>,
}

/// The end of the patience with one connection.
struct Expired(watch::Receiver<Instant>);

impl Clock {
    /// For a connection that has not asked for anything.
    fn new(bounds: Arc<Bounds>) -> (Self, Expired) {
        let (deadline, expired) = watch::channel(Instant::now() + bounds.handshake_timeout);
        let deadline = Arc::new(deadline);
        (Self { deadline, bounds }, Expired(expired))
    }

    /// The head of a request is there: the answer is the relay's business.
    fn asked(&self) {
        let answer = self.bounds.fetch_timeout + self.bounds.handshake_timeout;
        self.deadline.send_replace(Instant::now() + answer);
    }

    /// An answer is there to be read.
    fn answered(&self, response: &Response) {
        let soon = Instant::now() + self.bounds.handshake_timeout;
        let deadline = response.extensions().get::<Deadline>();
        self.deadline.send_replace(deadline.map_or(soon, |at| at.0));
    }

    /// All of the answer is on its way: what is left is to take it, and to ask for something else.
    fn rest(&self) {
        let next = Instant::now() + self.bounds.handshake_timeout;
        self.deadline.send_replace(next);
    }
}

impl Expired {
    /// Resolves at the deadline, wherever that is moved to meanwhile.
    async fn wait(&mut self) {
        loop {
            let deadline = *self.0.borrow_and_update();
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return,
                moved = self.0.changed() => if moved.is_err() {
                    // The service is gone, and the connection with it.
                    return;
                },
            }
        }
    }
}

/// The body of an answer, which tells when it is over.
struct Timed {
    body: Body,
    clock: Clock,
}

impl hyper::body::Body for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.clock.rest();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_to_a_client_leaves_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (socket, _) = accept(&listener).await.unwrap();
        assert!(socket.nodelay().unwrap());
    }
}
