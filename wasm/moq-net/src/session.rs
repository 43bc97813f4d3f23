//! A session as its owner sees it: a handle, and a driver that the owner polls.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{
    Error, OriginConsumer, OriginPublish, Result, Traffic, Version,
    link::{Bandwidth, Close, Control},
    tasks::BoxFuture,
};

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
