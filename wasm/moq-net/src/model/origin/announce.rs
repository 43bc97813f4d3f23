//! Following what is announced.

use std::{sync::Arc, task::Poll};

use kio::{Waiter, WaiterList};

use super::{Viewer, scope::Scope, shared::Shared};
use crate::{
    Path, PathOwned, Result,
    cost::gauges::{Kind, Live},
    map::Map,
    model::broadcast::BroadcastConsumer,
};

/// What happened to a path.
#[derive(Clone)]
pub enum Announced {
    /// A broadcast is available.
    Active(BroadcastConsumer),
    /// Another broadcast (or another route to the same one) has taken its place without a gap.
    Restart(BroadcastConsumer),
    /// No broadcast is available any more. Those who hold it may go on reading.
    Ended,
}

impl Announced {
    /// The broadcast that is available now.
    pub fn broadcast(self) -> Option<BroadcastConsumer> {
        match self {
            Self::Active(broadcast) | Self::Restart(broadcast) => Some(broadcast),
            Self::Ended => None,
        }
    }
}

/// News that a cursor has not delivered yet: at most one entry per path, so a slow reader costs no more than the paths there are.
pub(crate) enum Unseen {
    Active(BroadcastConsumer),
    Restart(BroadcastConsumer),
    Ended,
    /// Ended, and then another one came: delivered as two events.
    Again(BroadcastConsumer),
}

/// Adds an event to what is not delivered yet. What is replaced is returned, to be dropped after unlocking.
fn merge(unseen: Option<Unseen>, event: Announced) -> (Option<Unseen>, Option<Unseen>) {
    let merged = match (&unseen, event) {
        (None, Announced::Active(broadcast)) => Some(Unseen::Active(broadcast)),
        (None | Some(Unseen::Restart(_)), Announced::Restart(broadcast)) => {
            Some(Unseen::Restart(broadcast))
        }
        (None, Announced::Ended) => Some(Unseen::Ended),
        (Some(Unseen::Active(_)), Announced::Active(broadcast) | Announced::Restart(broadcast)) => {
            Some(Unseen::Active(broadcast))
        }
        // It came and went unseen.
        (Some(Unseen::Active(_)), Announced::Ended) => None,
        (Some(Unseen::Ended | Unseen::Again(_)), Announced::Active(broadcast)) => {
            Some(Unseen::Again(broadcast))
        }
        (Some(Unseen::Ended | Unseen::Again(_)), Announced::Restart(broadcast)) => {
            Some(Unseen::Restart(broadcast))
        }
        (Some(Unseen::Restart(_)), Announced::Active(broadcast)) => {
            Some(Unseen::Restart(broadcast))
        }
        (Some(Unseen::Ended | Unseen::Again(_) | Unseen::Restart(_)), Announced::Ended) => {
            Some(Unseen::Ended)
        }
    };
    (merged, unseen)
}

/// The state of one cursor, inside its origin.
pub(crate) struct Cursor {
    pub(crate) scope: Scope,
    pub(crate) viewer: Viewer,
    pub(crate) unseen: Map<PathOwned, Unseen>,
    pub(crate) waiters: WaiterList,
}

impl Cursor {
    pub(crate) fn new(scope: Scope, viewer: Viewer) -> Self {
        Self {
            scope,
            viewer,
            unseen: Map::new(),
            waiters: WaiterList::new(),
        }
    }

    /// Notes an event; what it replaces is returned.
    pub(crate) fn note(&mut self, path: &PathOwned, event: Announced) -> Option<Unseen> {
        let (merged, replaced) = merge(self.unseen.remove(path), event);
        if let Some(unseen) = merged {
            self.unseen.insert(path.clone(), unseen);
        }
        replaced
    }

    /// The next event, in the order of paths.
    fn pop(&mut self) -> Option<(PathOwned, Announced)> {
        let (path, unseen) = self.unseen.pop_first()?;
        let event = match unseen {
            Unseen::Active(broadcast) => Announced::Active(broadcast),
            Unseen::Restart(broadcast) => Announced::Restart(broadcast),
            Unseen::Ended => Announced::Ended,
            Unseen::Again(broadcast) => {
                self.unseen.insert(path.clone(), Unseen::Active(broadcast));
                Announced::Ended
            }
        };
        Some((path, event))
    }
}

/// Makes cursors over a part of an origin. It holds none itself.
#[derive(Clone)]
pub struct AnnounceProducer {
    shared: Arc<Shared>,
    scope: Scope,
}

impl AnnounceProducer {
    pub(crate) const fn new(shared: Arc<Shared>, scope: Scope) -> Self {
        Self { shared, scope }
    }

    /// A cursor that first gives what is announced now and then the changes.
    pub fn consume(&self) -> AnnounceConsumer {
        AnnounceConsumer::new(self.shared.clone(), self.scope.clone(), Viewer::default())
    }
}

/// Gives what is announced when it is made, and then the changes, coalesced to the latest of each path. For one path neither
/// two `Active` nor two `Ended` follow each other.
pub struct AnnounceConsumer {
    shared: Arc<Shared>,
    scope: Scope,
    id: u64,
    _live: Live,
}

impl AnnounceConsumer {
    pub(crate) fn new(shared: Arc<Shared>, scope: Scope, viewer: Viewer) -> Self {
        let id = shared.change(|state, _| state.add_cursor(scope.clone(), viewer));
        let live = Live::new(shared.runtime(), Kind::Consumer);
        Self {
            shared,
            scope,
            id,
            _live: live,
        }
    }

    /// The next event, with the path relative to the root; `None` once nothing can be announced any more.
    pub fn poll_next(&mut self, waiter: &Waiter) -> Poll<Option<(PathOwned, Announced)>> {
        let event = self.shared.change(|state, _| {
            let over = state.is_over();
            let cursor = state.cursors.get_mut(&self.id)?;
            match cursor.pop() {
                Some(event) => Some(Some(event)),
                None if over => None,
                None => {
                    waiter.register(&mut cursor.waiters);
                    Some(None)
                }
            }
        });
        match event {
            None => Poll::Ready(None),
            Some(None) => Poll::Pending,
            Some(Some((path, event))) => {
                // A cursor only has paths under its root.
                let path = self.scope.relative(&path).unwrap_or(path);
                Poll::Ready(Some((path, event)))
            }
        }
    }

    /// Waits for the next event; see [`poll_next`](Self::poll_next).
    pub async fn next(&mut self) -> Option<(PathOwned, Announced)> {
        kio::wait(|waiter| self.poll_next(waiter)).await
    }

    /// The next event if there is one already. `None` says nothing about the end.
    pub fn try_next(&mut self) -> Option<(PathOwned, Announced)> {
        match self.poll_next(&Waiter::noop()) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        }
    }

    /// Whether nothing can be announced any more.
    pub fn is_closed(&self) -> bool {
        self.shared.change(|state, _| state.is_over())
    }

    /// What paths are relative to.
    pub fn root(&self) -> &PathOwned {
        self.scope.root()
    }

    /// The full path of a relative one.
    ///
    /// # Errors
    /// [`Error::BoundsExceeded`](crate::Error::BoundsExceeded) when it is too long.
    pub fn absolute(&self, path: &Path<'_>) -> Result<PathOwned> {
        self.scope.absolute(path)
    }
}

impl Drop for AnnounceConsumer {
    fn drop(&mut self) {
        self.shared.change(|state, after| {
            if let Some(cursor) = state.cursors.remove(&self.id) {
                after.unseen.extend(cursor.unseen.into_values());
            }
        });
    }
}
