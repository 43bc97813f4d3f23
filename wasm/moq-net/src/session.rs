//! A session as its owner sees it: a handle, and a driver that the owner polls.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use kio::Shared;

use crate::{
    Error, Instant, OriginConsumer, OriginPublish, PathOwned, Result, Traffic, Version,
    cost::held::Held, tasks::BoxFuture,
};

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// What the end means. A clean end, by either side, is [`Error::Closed`].
    pub error: Error,
    /// The code that travelled, if the session was closed and not lost.
    pub code: Option<u32>,
    /// The text that travelled with the code; from the peer, so not to be trusted.
    pub reason: String,
    /// Whether this side closed it.
    pub local: bool,
}

/// What the two sides of a connection can carry, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// What the peer says it can send to us, in bits per second.
    pub receive: Option<u64>,
    /// The round-trip time the peer measures.
    pub rtt: Option<Duration>,
}

/// A handle to a running session. Clones are handles to the same session; dropping the last one closes it cleanly.
#[derive(Clone)]
pub struct Session {
    handle: Arc<Handle>,
}

struct Handle {
    control: Control,
    version: Version,
    publish: Option<OriginConsumer>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.control.close(Error::Closed, "");
    }
}

impl Session {
    pub(crate) fn new(control: Control, version: Version, publish: Option<OriginConsumer>) -> Self {
        Self {
            handle: Arc::new(Handle {
                control,
                version,
                publish,
            }),
        }
    }

    /// The version both sides speak.
    pub fn version(&self) -> Version {
        self.handle.version
    }

    /// Closes the session with the session code of `error` and a text for the peer's log. The first close counts.
    pub fn close(&self, error: Error, reason: &str) {
        self.handle.control.close(error, reason);
    }

    /// Bytes of memory that the peer makes this side hold, besides the cache and what the transport buffers; an estimate.
    pub fn held_bytes(&self) -> usize {
        self.handle.control.held.bytes()
    }

    /// What it has carried so far; readable after its end too.
    pub fn traffic(&self) -> Traffic {
        let held = &self.handle.control.held;
        Traffic {
            sent: held.sent.flow(),
            received: held.received.flow(),
        }
    }

    /// Whether the peer asks for announcements of what is published there: one that never does, a while after the session is ready, does
    /// not let this side publish there. `None` where that is not published by this session.
    pub fn hears_of(&self, publish: &OriginPublish) -> Option<bool> {
        let origin = self.handle.publish.as_ref()?;
        origin.covers(publish).then(|| {
            let state = self.handle.control.state.lock();
            let mut prefixes = state.interests.iter().flat_map(|asked| asked.iter());
            prefixes.any(|prefix| publish.path().has_prefix(prefix))
        })
    }

    /// Waits for the end. A clean end, by either side, is [`Error::Closed`].
    pub async fn closed(&self) -> Error {
        self.handle.control.ended().await.error
    }

    /// How the session ended, once it has.
    pub fn close_reason(&self) -> Option<Close> {
        self.handle.control.state.lock().ended.clone()
    }

    /// Waits until the peer has shown that it takes the session: its SETUP on 05 and later, at once on others.
    ///
    /// # Errors
    /// Why the session ended instead.
    pub async fn ready(&self) -> Result<()> {
        let control = &self.handle.control;
        kio::wait(|waiter| {
            control.state.poll(waiter, |state| match &state.ended {
                Some(close) => Poll::Ready(Err(close.error.clone())),
                None if state.ready => Poll::Ready(Ok(())),
                None => Poll::Pending,
            })
        })
        .await
    }

    /// Tells the peer to move to `uri` (empty: to reconnect where it is) and gives it the drain time of the limits;
    /// then the session is closed. Versions before 04 are not told, only given the time.
    pub fn goaway(&self, uri: &str) {
        let mut state = self.handle.control.state.lock();
        if state.drain.is_none() {
            state.drain = Some(uri.into());
        }
    }

    /// Tells the peer, ahead of a [`close`](Self::close) with the same error, that nothing will be announced any more: its requests
    /// for announcements end with the code of `error`. Browsers lose the reason of a close now and then, and hear of this.
    pub fn revoke(&self, error: Error) {
        let mut state = self.handle.control.state.lock();
        if state.revoked.is_none() {
            state.revoked = Some(error);
        }
    }

    /// Waits until the peer asks us to move, and gives the URI it names (empty: reconnect to the same).
    ///
    /// # Errors
    /// Why the session ended without that.
    pub async fn going_away(&self) -> Result<String> {
        let control = &self.handle.control;
        kio::wait(|waiter| {
            control
                .state
                .poll(waiter, |state| match (&state.goaway, &state.ended) {
                    (Some(uri), _) => Poll::Ready(Ok(uri.to_string())),
                    (None, Some(close)) => Poll::Ready(Err(close.error.clone())),
                    (None, None) => Poll::Pending,
                })
        })
        .await
    }

    /// The peer's latest estimate of the connection; empty when it gives none.
    pub fn bandwidth(&self) -> Bandwidth {
        self.handle.control.state.lock().bandwidth
    }

    /// Waits until the estimate differs from `last`.
    ///
    /// # Errors
    /// Why the session ended.
    pub async fn bandwidth_changed(&self, last: Bandwidth) -> Result<Bandwidth> {
        let control = &self.handle.control;
        kio::wait(|waiter| {
            control.state.poll(waiter, |state| match &state.ended {
                Some(close) => Poll::Ready(Err(close.error.clone())),
                None if state.bandwidth != last => Poll::Ready(Ok(state.bandwidth)),
                None => Poll::Pending,
            })
        })
        .await
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("version", &self.handle.version)
            .finish_non_exhaustive()
    }
}

/// Runs a session. **Nothing happens in a session unless its driver is polled**; the caller
///
/// 1. polls it whenever its waker was called, on any executor,
/// 2. keeps it until it is ready: it ends when the session does, `Ok` after a clean end,
/// 3. may drop it early, which closes the transport as dropping the transport would ([`Error::Dropped`]).
///
/// One poll does a bounded amount of work and then yields to other tasks.
#[must_use = "a session does nothing unless its driver is polled"]
pub struct Driver {
    future: BoxFuture<Result<()>>,
    control: Control,
}

impl Driver {
    pub(crate) const fn new(future: BoxFuture<Result<()>>, control: Control) -> Self {
        Self { future, control }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Before its end: then nobody is left who could say how the session ended.
        self.control.end(Close {
            error: Error::Dropped,
            code: None,
            reason: String::new(),
            local: true,
        });
    }
}

impl Future for Driver {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.future.as_mut().poll(cx)
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

/// How long after the end of its announcements a peer closes the session.
const CLOSE_FOLLOWS: Duration = Duration::from_secs(2);

/// What the handle and the driver share.
#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) state: Shared<State>,
    held: Arc<Held>,
}

#[derive(Default)]
pub(crate) struct State {
    /// Somebody on this side wants the session closed.
    pub(crate) closing: Option<Closing>,
    /// The session is over.
    pub(crate) ended: Option<Close>,
    /// The peer takes the session.
    pub(crate) ready: bool,
    /// Why this side will announce nothing more.
    pub(crate) revoked: Option<Error>,
    /// Why, and when, the peer said that it will announce nothing more.
    pub(crate) farewell: Option<(Error, Instant)>,
    /// The URI this side wants the peer to move to.
    pub(crate) drain: Option<Arc<str>>,
    /// The URI the peer wants this side to move to.
    pub(crate) goaway: Option<Arc<str>>,
    pub(crate) bandwidth: Bandwidth,
    /// What each open request of the peer for announcements covers, as full paths. The limit of such requests bounds it.
    interests: Vec<Arc<[PathOwned]>>,
}

/// Takes note of what the peer asks announcements for, as long as it does.
pub(crate) struct Interest {
    control: Control,
    prefixes: Arc<[PathOwned]>,
}

impl Drop for Interest {
    fn drop(&mut self) {
        let interests = &mut self.control.state.lock().interests;
        let found = interests.iter().position(|held| *held == self.prefixes);
        if let Some(at) = found {
            interests.swap_remove(at);
        }
    }
}

#[derive(Clone)]
pub(crate) struct Closing {
    pub(crate) error: Error,
    pub(crate) reason: String,
}

impl Control {
    pub(crate) fn new(held: Arc<Held>) -> Self {
        Self {
            state: Shared::default(),
            held,
        }
    }

    /// Asks the driver to close the session; only the first request counts.
    pub(crate) fn close(&self, error: Error, reason: &str) {
        let mut state = self.state.lock();
        if state.closing.is_none() && state.ended.is_none() {
            state.closing = Some(Closing {
                error,
                reason: reason.to_owned(),
            });
        }
    }

    /// The peer asks for announcements below these, as long as the result lives.
    pub(crate) fn interest(&self, prefixes: &[PathOwned]) -> Interest {
        let prefixes: Arc<[PathOwned]> = prefixes.into();
        self.state.lock().interests.push(prefixes.clone());
        Interest {
            control: self.clone(),
            prefixes,
        }
    }

    /// Why whatever is left of the session ends: the cause once it is over.
    pub(crate) fn cause(&self) -> Error {
        match &self.state.lock().ended {
            Some(close) => close.error.clone().of_session(),
            None => Error::Dropped,
        }
    }

    /// Waits until this side will announce nothing more, and says why.
    pub(crate) async fn revoked(&self) -> Error {
        kio::wait(|waiter| {
            self.state.poll(waiter, |state| match &state.revoked {
                Some(error) => Poll::Ready(error.clone()),
                None => Poll::Pending,
            })
        })
        .await
    }

    /// Takes note of why the peer ended its announcements, where that is a reason for the session to end.
    pub(crate) fn bid_farewell(&self, error: &Error, now: Instant) {
        let error = match error {
            // On a request for announcements a path that is not routed is one that is out of scope.
            Error::Unauthorized | Error::NotFound => Error::Unauthorized,
            Error::GoingAway => Error::GoingAway,
            _ => return,
        };
        self.state.lock().farewell = Some((error, now));
    }

    /// Why the peer closed a session whose transport was lost without a word, as far as it has said so before.
    pub(crate) fn told(&self, now: Instant) -> Option<Error> {
        let state = self.state.lock();
        match &state.farewell {
            Some((error, at)) if now.duration_since(*at) < CLOSE_FOLLOWS => Some(error.clone()),
            _ if state.goaway.is_some() => Some(Error::GoingAway),
            _ => None,
        }
    }

    /// Records the end; only the first one counts.
    pub(crate) fn end(&self, close: Close) {
        let mut state = self.state.lock();
        if state.ended.is_none() {
            state.ended = Some(close);
        }
    }

    async fn ended(&self) -> Close {
        kio::wait(|waiter| {
            self.state.poll(waiter, |state| match &state.ended {
                Some(close) => Poll::Ready(close.clone()),
                None => Poll::Pending,
            })
        })
        .await
    }

    /// Whether the peer has asked us not to open new requests.
    pub(crate) fn is_going_away(&self) -> bool {
        self.state.lock().goaway.is_some()
    }

    /// Ready once the peer has asked us not to open new requests.
    pub(crate) fn poll_going_away(&self, waiter: &kio::Waiter) -> Poll<()> {
        self.state.poll(waiter, |state| match state.goaway {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        })
    }
}
