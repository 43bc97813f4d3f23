//! A session as somebody to ask for tracks.

use std::{collections::VecDeque, task::Poll};

use kio::{Shared, Waiter};

use crate::{Error, PathOwned, TrackRequest, Viewer};

/// The peer of a session as somebody who is asked for tracks of broadcasts that it need not have announced. The session is given
/// it with [`Config::with_supply`](crate::Config::with_supply); when one session ends, the next may take its place.
#[derive(Clone, Default)]
pub struct Supply {
    state: Shared<State>,
}

#[derive(Default)]
struct State {
    /// The session that answers now.
    open: Option<Viewer>,
    waiting: VecDeque<Ask>,
}

/// A track that somebody wants from the peer.
pub(crate) struct Ask {
    pub(crate) path: PathOwned,
    pub(crate) request: TrackRequest,
    pub(crate) back: Back,
}

impl Supply {
    /// Nobody to ask, as yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is a session to ask.
    pub fn is_open(&self) -> bool {
        self.peer().is_some()
    }

    /// Ready while there is a session to ask.
    pub fn poll_open(&self, waiter: &Waiter) -> Poll<()> {
        self.state.poll(waiter, |state| match &state.open {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        })
    }

    /// Ready while there is a session to ask that is none of these.
    pub(crate) fn poll_other(&self, waiter: &Waiter, sessions: &[u64]) -> Poll<()> {
        self.state.poll(waiter, |state| match &state.open {
            Some(open) if !sessions.contains(&open.session) => Poll::Ready(()),
            _ => Poll::Pending,
        })
    }

    /// Who answers now.
    pub(crate) fn peer(&self) -> Option<Viewer> {
        self.state.lock().open.clone()
    }

    /// Asks for a track. Resolves to `None` when nobody wants it any more or it has failed after it was confirmed; to the request
    /// and the reason when it cannot be had here.
    pub(crate) async fn serve(
        &self,
        path: PathOwned,
        request: TrackRequest,
    ) -> Option<(TrackRequest, Error)> {
        let fate = Shared::new(Fate::Open);
        {
            let mut state = self.state.lock();
            if state.open.is_none() {
                return Some((request, Error::Closed));
            }
            state.waiting.push_back(Ask {
                path,
                request,
                back: Back { fate: fate.clone() },
            });
        }
        kio::wait(|waiter| {
            fate.poll(waiter, |fate| match fate {
                Fate::Open => Poll::Pending,
                Fate::Done | Fate::Returned(_) => Poll::Ready(()),
            })
        })
        .await;
        match std::mem::replace(&mut *fate.lock(), Fate::Done) {
            Fate::Returned(returned) => Some(*returned),
            Fate::Open | Fate::Done => None,
        }
    }

    /// Takes questions for as long as the result lives, in place of whoever did so far.
    pub(crate) fn open(&self, peer: Viewer) -> Answering {
        let session = peer.session;
        self.state.lock().open = Some(peer);
        Answering {
            supply: self.clone(),
            session,
        }
    }

    /// The peer has told another name.
    pub(crate) fn rename(&self, peer: Viewer) {
        let mut state = self.state.lock();
        let current = state.open.as_ref();
        if current.is_some_and(|open| open.session == peer.session && *open != peer) {
            state.open = Some(peer);
        }
    }
}

impl std::fmt::Debug for Supply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supply")
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

/// A session that takes questions.
pub(crate) struct Answering {
    supply: Supply,
    session: u64,
}

impl Answering {
    /// The next question; never ready once another session has taken over.
    pub(crate) fn poll_ask(&self, waiter: &Waiter) -> Poll<Ask> {
        let mine = |state: &State| {
            let open = state.open.as_ref();
            open.is_some_and(|open| open.session == self.session)
        };
        let ready = self.supply.state.poll(waiter, |state| {
            match mine(state) && !state.waiting.is_empty() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        if ready.is_pending() {
            return Poll::Pending;
        }
        let mut state = self.supply.state.lock();
        match mine(&state) {
            true => state.waiting.pop_front().map_or(Poll::Pending, Poll::Ready),
            false => Poll::Pending,
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let orphans = {
            let mut state = self.supply.state.lock();
            match &state.open {
                Some(open) if open.session == self.session => {
                    state.open = None;
                    std::mem::take(&mut state.waiting)
                }
                _ => VecDeque::new(),
            }
        };
        for Ask { request, back, .. } in orphans {
            back.give(request, Error::Closed);
        }
    }
}

enum Fate {
    Open,
    Done,
    Returned(Box<(TrackRequest, Error)>),
}

/// The way back for a request that cannot be served. Letting go of it says that the request is done with.
pub(crate) struct Back {
    fate: Shared<Fate>,
}

impl Back {
    /// Gives the request back.
    pub(crate) fn give(self, mut request: TrackRequest, error: Error) {
        // Whoever is asked next has been told nothing.
        request.forget_reported();
        *self.fate.lock() = Fate::Returned(Box::new((request, error)));
    }
}

impl Drop for Back {
    fn drop(&mut self) {
        let mut fate = self.fate.lock();
        if matches!(*fate, Fate::Open) {
            *fate = Fate::Done;
        }
    }
}
