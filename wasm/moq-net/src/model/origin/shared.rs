//! What every handle of an origin holds.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    Origin,
    state::{After, State},
};
use crate::{
    Runtime,
    cost::{
        gauges::{Kind, Live},
        peaks::Peak,
    },
};

/// One lock for the paths, the cursors and the requests of an origin. Each cursor has its own list of waiters, so that nobody is
/// woken for paths outside its scope.
pub(crate) struct Shared {
    pub(crate) info: Origin,
    state: Mutex<State>,
    live: Live,
}

impl Shared {
    pub(crate) fn runtime(&self) -> &Runtime {
        self.live.runtime()
    }

    /// Changes the state; what remains to be done runs after unlocking.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State, &mut After) -> T) -> T {
        let mut after = After::default();
        let result = {
            // No step of a change can leave the state half done by panicking: it only moves values between maps.
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut state, &mut after)
        };
        if after.longest > 0 {
            self.runtime().mark(Peak::UnseenPaths, after.longest);
        }
        after.run();
        result
    }
}

/// Shared by producers, handlers and unanswered requests: requests are possible as long as one of them lives.
pub(crate) struct Owner {
    pub(crate) shared: Arc<Shared>,
    _live: Live,
}

impl Owner {
    pub(crate) fn new(info: Origin, runtime: &Runtime) -> Arc<Self> {
        let shared = Arc::new(Shared {
            info,
            state: Mutex::new(State::new(runtime.limits())),
            live: Live::new(runtime, Kind::Origin),
        });
        Arc::new(Self {
            shared,
            _live: Live::new(runtime, Kind::Producer),
        })
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Handlers and unanswered requests are owners too: none is left, and so nobody waits for an answer.
        self.shared.change(|state, after| {
            state.orphaned = true;
            state.wake_cursors(after);
        });
    }
}
