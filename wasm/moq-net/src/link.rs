//! The state that the handle of a session and its tasks share. Starts nothing.

use std::{sync::Arc, task::Poll, time::Duration};

use kio::Shared;

use crate::{Error, Instant, PathOwned, cost::held::Held};

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

/// How long after the end of its announcements a peer closes the session.
const CLOSE_FOLLOWS: Duration = Duration::from_secs(2);

/// What the handle and the driver share.
#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) state: Shared<State>,
    pub(crate) held: Arc<Held>,
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
    pub(crate) interests: Vec<Arc<[PathOwned]>>,
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

    /// Waits for the end.
    pub(crate) async fn ended(&self) -> Close {
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
