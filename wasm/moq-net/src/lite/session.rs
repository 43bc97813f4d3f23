//! The inside of a session: what its tasks share, and the loop that runs them.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use kio::Shared;
use web_transport_trait as wt;

use super::{Setup, credit::Credit, drain, establish::Side, estimate, publisher, subscriber};
use crate::{
    BroadcastConsumer, Cost, Error, Instant, Origin, OriginConsumer, OriginProducer, Result,
    Runtime, Subject, Supply, Version, Viewer,
    coding::{Codes, Timer},
    cost::{held::Held, rate::Bucket},
    link::{Close, Control},
    lite::{Reader, Writer},
    tasks::{TaskSet, Tasks},
    time::Sleep,
};

/// Control streams go before all media: above any order that a group can get.
pub(super) const CONTROL_ORDER: i32 = i32::MAX;

/// What all tasks of one session share.
pub(crate) struct Link<T: wt::Session> {
    pub(super) transport: T,
    pub(super) version: Version,
    /// Names this session among all of the process: what came by it never goes back by it.
    pub(super) id: u64,
    pub(super) runtime: Runtime,
    /// For the rest of a message whose first byte is here.
    pub(super) control_timer: Arc<dyn Timer>,
    pub(super) side: Side,
    pub(super) tasks: Tasks,
    pub(super) control: Control,
    pub(super) publish: Option<OriginConsumer>,
    pub(super) subscribe: Option<OriginProducer>,
    pub(super) supply: Option<Supply>,
    /// Whether groups are fetched whole whatever is wanted of them.
    pub(super) whole_groups: bool,
    /// What the peer has told about itself.
    pub(super) peer: Shared<Peer>,
    /// Stands in chains for a peer that does not say who it is.
    pub(super) anonymous: Origin,
    /// When the session began.
    pub(super) began: Instant,
    /// Who this side is when it has no origin at all.
    pub(super) unnamed: Origin,
    pub(super) subscriptions: subscriber::Subscriptions,
    /// Frames of the peer that have not come whole.
    pub(super) assembly: subscriber::Assembly,
    /// Groups that wait for the peer.
    pub(super) pins: publisher::Pins,
    /// What the peer asked for that was not here.
    pub(super) lookups: publisher::Lookups,
    /// What the peer makes this side hold.
    pub(super) held: Arc<Held>,
    /// The most that may be.
    pub(super) held_bytes: usize,
    /// The most announcements the peer may have.
    pub(super) announces: usize,
    /// How often the peer may change them.
    pub(super) announcing: Bucket,
    /// The most subscriptions the peer may have.
    pub(super) subscriptions_served: usize,
    /// How often the peer may give up a stream.
    pub(super) resets: Bucket,
    /// The streams that the peer lets this side open.
    pub(super) credit: Credit<T>,
    /// Whether GOAWAY has come, which it may once.
    pub(super) going_away: AtomicBool,
}

/// What the peer has told about itself.
#[derive(Default)]
pub(super) struct Peer {
    pub(super) setup: Option<Setup>,
    /// The hop ids it goes by: in SETUP, in ANNOUNCE_REQUEST, in ANNOUNCE_OK.
    pub(super) hops: Vec<u64>,
}

impl<T: wt::Session> Link<T> {
    /// The id this side stamps on what it forwards: that of the origin it publishes from, else of the one it fills.
    pub(super) fn hop(&self) -> Origin {
        let publish = self.publish.as_ref().map(OriginConsumer::info);
        publish
            .or_else(|| self.subscribe.as_ref().map(OriginProducer::info))
            .unwrap_or(self.unnamed)
    }

    /// Whether `id` is one of our own origins.
    pub(super) fn is_own(&self, id: u64) -> bool {
        let publish = self.publish.as_ref().map(|origin| origin.info().id);
        let subscribe = self.subscribe.as_ref().map(|origin| origin.info().id);
        publish == Some(id) || subscribe == Some(id)
    }

    /// Whether the peer goes by `id`.
    pub(super) fn is_peer(&self, id: u64) -> bool {
        self.peer.lock().hops.contains(&id)
    }

    /// Remembers an id the peer goes by; 0 means that it withholds it.
    pub(super) fn add_peer_hop(&self, id: u64) {
        if id != 0 && !self.is_peer(id) {
            self.peer.lock().hops.push(id);
            if let Some(supply) = &self.supply {
                supply.rename(self.viewer());
            }
        }
    }

    /// The peer as somebody who looks at our origin, by all the names it has told so far and the one we gave it.
    pub(super) fn viewer(&self) -> Viewer {
        let peer = self.peer.lock();
        let told = peer.hops.iter().map(|id| Origin::from(*id));
        Viewer {
            session: self.id,
            hops: told.chain([self.anonymous]).collect(),
            since: self.began,
            named: false,
        }
    }

    /// What the peer may read, as it may see it.
    pub(super) fn view(&self) -> Option<OriginConsumer> {
        let publish = self.publish.as_ref()?;
        Some(publish.viewed_by(self.viewer()))
    }

    /// Whether `broadcast` may be shown to the peer: not what came from it, by any way.
    pub(super) fn may_show(&self, broadcast: &BroadcastConsumer) -> bool {
        self.viewer().may_see(broadcast.info())
    }

    /// What a route costs once it has come over this link.
    pub(super) fn price(&self, cost: Cost) -> Cost {
        let peer = self.peer.lock();
        let link = peer.setup.as_ref().and_then(|setup| setup.cost);
        cost.over(link.unwrap_or(1))
    }

    /// Waits for the peer's SETUP, on versions that have one. The session ends if it takes too long.
    pub(super) async fn peer_setup(&self) {
        if !self.version.has_setup_stream() {
            return;
        }
        kio::wait(|waiter| {
            self.peer.poll(waiter, |peer| match peer.setup {
                Some(_) => Poll::Ready(()),
                None => Poll::Pending,
            })
        })
        .await;
    }

    /// Whether the peer's SETUP has come.
    pub(super) fn has_setup(&self) -> bool {
        self.peer.lock().setup.is_some()
    }

    /// Takes the peer's SETUP.
    ///
    /// # Errors
    /// [`Error::ProtocolViolation`] for the second one, or one with what only the other side may send.
    pub(super) fn receive_setup(&self, setup: Setup) -> Result<()> {
        if self.side == Side::Client && (setup.path.is_some() || setup.role.is_some()) {
            return Err(Error::ProtocolViolation);
        }
        if let Some(hop) = setup.hop {
            self.add_peer_hop(hop);
        }
        let mut peer = self.peer.lock();
        if peer.setup.is_some() {
            return Err(Error::ProtocolViolation);
        }
        peer.setup = Some(setup);
        drop(peer);
        self.control.state.lock().ready = true;
        Ok(())
    }

    /// Takes note of a stream that ended before its first byte: QUIC lets that happen, and it means nothing.
    pub(super) fn count_empty(&self) {
        let empty = &self.runtime.gauges().empty_streams;
        empty.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes note of a stream that the peer opened and gave up. One that does little else is let go.
    pub(super) fn count_reset(&self) {
        if self.resets.take(self.runtime.now()).is_err() {
            self.exceed("reset_rate");
        }
    }

    /// Ends the session because the peer passed a limit, which it is told.
    pub(super) fn exceed(&self, limit: &str) {
        tracing::warn!(limit, "limit passed");
        let reason = format!("limit passed: {limit}");
        self.control.close(Error::BoundsExceeded, &reason);
    }

    /// Ends the session because of `error`.
    pub(super) fn fail(&self, error: Error) {
        let reason = error.to_string();
        self.control.close(error, &reason);
    }

    /// Ends the session if `error` is of the kind that does so wherever it happens.
    pub(super) fn check(&self, error: &Error) {
        if self.version.ends_session(error) {
            self.fail(error.clone());
        }
    }

    /// Refuses both halves of a request for a reason found in the request or on the way to its answer.
    pub(super) fn refuse(
        &self,
        send: &mut Writer<T::SendStream>,
        recv: &mut Reader<T::RecvStream>,
        error: &Error,
        subject: Subject,
    ) {
        self.check(error);
        send.reset_about(error, subject);
        recv.stop_about(error, subject);
    }

    /// Opens a stream for a new request.
    ///
    /// # Errors
    /// [`Error::GoingAway`] once the peer drains; else as [`Self::open`].
    pub(super) async fn request(&self) -> Result<(Writer<T::SendStream>, Reader<T::RecvStream>)> {
        match self.control.is_going_away() {
            true => Err(Error::GoingAway),
            false => self.open().await,
        }
    }

    /// Opens a control stream.
    ///
    /// # Errors
    /// [`Error::NoCapacity`] when the peer gives no credit in time, or how the session ended.
    pub(super) async fn open(&self) -> Result<(Writer<T::SendStream>, Reader<T::RecvStream>)> {
        let (send, recv) = self.credit.open(self).await?;
        let mut send = Writer::new(send, self.version);
        send.set_priority(CONTROL_ORDER);
        Ok((send, self.reader(recv)))
    }

    /// A reader with the limits of this session.
    pub(super) fn reader(&self, recv: T::RecvStream) -> Reader<T::RecvStream> {
        let mut reader = Reader::new(recv, self.version);
        let limits = self.runtime.limits();
        reader.set_limit(limits.control_message);
        reader.set_buffer(limits.read_buffer);
        reader.set_timer(self.control_timer.clone());
        reader
    }

    /// Runs `future` for at most `limit`.
    ///
    /// # Errors
    /// Its own, or [`Error::Timeout`].
    pub(super) async fn deadline<V>(
        &self,
        limit: Duration,
        future: impl Future<Output = Result<V>>,
    ) -> Result<V> {
        within(&self.runtime, limit, future, Error::Timeout).await
    }

    /// As [`Self::deadline`], for something whose name belongs into the error.
    ///
    /// # Errors
    /// Its own, or [`Error::Late`].
    pub(super) async fn awaited<V>(
        &self,
        what: &'static str,
        limit: Duration,
        future: impl Future<Output = Result<V>>,
    ) -> Result<V> {
        within(&self.runtime, limit, future, Error::Late { what, limit }).await
    }
}

struct ControlTimer(Runtime);

impl Timer for ControlTimer {
    fn start(&self) -> Sleep {
        self.0.sleep(self.0.limits().control_timeout)
    }
}

pub(super) fn control_timer(runtime: &Runtime) -> Arc<dyn Timer> {
    Arc::new(ControlTimer(runtime.clone()))
}

/// Runs `future` for at most `limit` of `runtime`'s time.
///
/// # Errors
/// Its own, or [`Error::Timeout`].
pub(super) async fn deadline<V>(
    runtime: &Runtime,
    limit: Duration,
    future: impl Future<Output = Result<V>>,
) -> Result<V> {
    within(runtime, limit, future, Error::Timeout).await
}

/// Runs `future` for at most `limit` of `runtime`'s time.
///
/// # Errors
/// Its own, or `late`.
pub(super) async fn within<V>(
    runtime: &Runtime,
    limit: Duration,
    future: impl Future<Output = Result<V>>,
    late: Error,
) -> Result<V> {
    let mut future = pin!(future);
    let mut timer = runtime.sleep(limit);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(result) = future.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        timer.as_mut().poll(cx).map(|()| Err(late.clone()))
    })
    .await
}

/// Runs the session to its end.
pub(super) async fn run<T: wt::Session>(link: Arc<Link<T>>, mut set: TaskSet) -> Result<()> {
    publisher::start(&link);
    subscriber::start(&link);
    drain::start(&link);
    estimate::start(&link);

    let close = {
        let mut closed = pin!(link.transport.closed());
        kio_poll(|waiter, cx| {
            // A transport that is over is the cause of whatever else went wrong.
            if let Poll::Ready(error) = closed.as_mut().poll(cx) {
                let told = link.control.told(link.runtime.now());
                return Poll::Ready(remote_close(&error, link.version, told));
            }
            let closing = link
                .control
                .state
                .poll(waiter, |state| match &state.closing {
                    Some(closing) => Poll::Ready(closing.clone()),
                    None => Poll::Pending,
                });
            if let Poll::Ready(closing) = closing {
                let code = link.version.session_code(&closing.error);
                link.transport.close(code, &closing.reason);
                return Poll::Ready(Close {
                    error: closing.error,
                    code: Some(code),
                    reason: closing.reason,
                    local: true,
                });
            }
            set.poll(cx);
            if link.held.bytes() > link.held_bytes {
                link.exceed("held_bytes");
            }
            Poll::Pending
        })
        .await
    };

    let result = match &close.error {
        Error::Closed | Error::Cancel => Ok(()),
        error => Err(error.clone()),
    };
    // First the cause, then the tasks: what they leave behind ends with it.
    link.control.end(close);
    drop(set);
    result
}

/// What the end of the transport says, or what the peer `told` before a transport that was lost without a word.
fn remote_close(error: &impl wt::Error, version: Version, told: Option<Error>) -> Close {
    let (code, reason) = match error.session_error() {
        Some((code, reason)) => (Some(code), reason),
        None => (None, error.to_string()),
    };
    let error = match (code, told) {
        (None, Some(told)) => told,
        _ => version.of_transport(error),
    };
    Close {
        error,
        code,
        reason,
        local: false,
    }
}

/// A future from a poll that needs both kinds of wake-up: the model's waiter and the context of ordinary futures.
pub(super) fn kio_poll<R>(
    mut poll: impl FnMut(&kio::Waiter, &mut Context<'_>) -> Poll<R> + Unpin,
) -> impl Future<Output = R> {
    kio::wait(move |waiter| poll(waiter, &mut Context::from_waker(waiter.waker())))
}

/// Polls a boxed or pinned future behind an option; `Pending` while there is none.
pub(super) fn poll_some<F: Future + Unpin>(
    slot: &mut Option<F>,
    cx: &mut Context<'_>,
) -> Poll<F::Output> {
    let Some(future) = slot else {
        return Poll::Pending;
    };
    let result = Pin::new(future).poll(cx);
    if result.is_ready() {
        *slot = None;
    }
    result
}

/// Runs both until one is done.
pub(super) async fn first<R>(one: impl Future<Output = R>, other: impl Future<Output = R>) -> R {
    let (mut one, mut other) = (pin!(one), pin!(other));
    std::future::poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(result),
        Poll::Pending => other.as_mut().poll(cx),
    })
    .await
}
