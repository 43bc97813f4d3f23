//! The credit for control streams: how many of them the peer lets this side have open.

use std::{
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use web_transport_trait as wt;

use super::session::Link;
use crate::{
    Error, Instant, Result,
    coding::Codes,
    lite::{Reader, Writer},
};

/// Time without a stream after which credit counts as used up, not just slow to come.
const SHORT: Duration = Duration::from_millis(50);

/// Why a track is not asked for.
const USED_UP: &str = "the publisher gives no credit for another stream; a page that publishes over WebTransport gives 100: let \
    it connect over WebSocket, or spread its broadcasts over several connections";

/// What is known of the credit that the peer gives.
///
/// A transport does not give credit back for each stream that ends. Chromium and qmux do so when a stream ends while half of the
/// credit or less is left: after many short requests that ended together, much of it is free and not given, and comes with the
/// next stream that ends. So that there is one, a request that is done is kept open until credit is short.
pub(super) struct Credit<T: wt::Session> {
    /// How long is waited for a stream while none is given.
    patience: Duration,
    state: Mutex<State<T>>,
}

struct State<T: wt::Session> {
    /// When a stream was given last.
    given: Instant,
    /// Requests that find credit short.
    waiting: usize,
    /// A request that is done, still open.
    kept: Option<Done<T>>,
}

type Done<T> = (
    Writer<<T as wt::Session>::SendStream>,
    Reader<<T as wt::Session>::RecvStream>,
);

impl<T: wt::Session> Credit<T> {
    pub(super) const fn new(patience: Duration) -> Self {
        Self {
            patience,
            state: Mutex::new(State {
                given: Instant::ZERO,
                waiting: 0,
                kept: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// [`Error::NoCapacity`] when no credit comes in time, or how the session ended.
    pub(super) async fn open(&self, link: &Link<T>) -> Result<(T::SendStream, T::RecvStream)> {
        let mut opening = pin!(link.transport.open_bi());
        let began = link.runtime.now();
        let mut timer = link.runtime.sleep(SHORT);
        let mut waiting: Option<Waiting<'_, T>> = None;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(opened) = opening.as_mut().poll(cx) {
                self.lock().given = link.runtime.now();
                return Poll::Ready(opened.map_err(|error| link.version.of_stream(&error)));
            }
            while timer.as_mut().poll(cx).is_ready() {
                if waiting.is_none() {
                    waiting = Some(Waiting::new(self));
                    let kept = self.lock().kept.take();
                    if let Some(done) = kept {
                        finish(link, done);
                    }
                }
                let given = self.lock().given.max(began);
                let limit =
                    (given + self.patience).min(began + link.runtime.limits().control_timeout);
                if link.runtime.now() >= limit {
                    tracing::warn!("no credit for another stream: a track is not asked for");
                    return Poll::Ready(Err(Error::NoCapacity(USED_UP)));
                }
                timer = link.runtime.sleep_until(limit);
            }
            Poll::Pending
        })
        .await
    }

    /// Ends a request that is done, now or when credit is short.
    pub(super) fn release(&self, link: &Link<T>, done: Done<T>) {
        let mut state = self.lock();
        // The newest is the one that the peer is least likely to have given up by now.
        let done = match state.waiting {
            0 => state.kept.replace(done),
            _ => Some(done),
        };
        drop(state);
        if let Some(done) = done {
            finish(link, done);
        }
    }
}

/// A request that finds credit short, for as long as it waits.
struct Waiting<'a, T: wt::Session>(&'a Credit<T>);

impl<'a, T: wt::Session> Waiting<'a, T> {
    fn new(credit: &'a Credit<T>) -> Self {
        credit.lock().waiting += 1;
        Self(credit)
    }
}

impl<T: wt::Session> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

/// Ends both halves. What the end looks like changes nothing.
fn finish<T: wt::Session>(link: &Link<T>, (mut send, mut recv): Done<T>) {
    let (runtime, limit) = (link.runtime.clone(), link.runtime.limits().control_timeout);
    link.tasks.push(async move {
        let _sent = send.finish().await;
        let _end = super::session::deadline(&runtime, limit, recv.finished()).await;
    });
}
