//! Serving paths that nobody has announced.

use std::{sync::Arc, task::Poll};

use kio::Waiter;

use super::{
    Origin, Viewer,
    scope::Scope,
    shared::Owner,
    state::{Asked, Later},
};
use crate::{
    Error, PathOwned, Result,
    model::{Consume, broadcast::BroadcastConsumer, queue::Ticket},
};

/// Serves broadcasts on request, without announcing them. It keeps the origin open like a producer.
///
/// Clones compete for the requests. Requests that nobody has taken when the last handler of their path goes fail with
/// [`Error::NotFound`].
pub struct OriginDynamic {
    owner: Arc<Owner>,
    scope: Scope,
    handler: u64,
}

impl OriginDynamic {
    pub(crate) fn new(owner: Arc<Owner>, scope: Scope) -> Self {
        let handler = owner
            .shared
            .change(|state, _| state.requests.add_handler(scope.clone()));
        Self {
            owner,
            scope,
            handler,
        }
    }

    /// The id of the origin.
    pub fn info(&self) -> Origin {
        self.owner.shared.info
    }

    /// The root of the producer it was made from. Requests carry full paths all the same.
    pub const fn root(&self) -> &PathOwned {
        self.scope.root()
    }

    /// The next path in this scope that somebody wants, oldest request first. Others who ask for it meanwhile join the request.
    ///
    /// # Errors
    /// [`Error::Dropped`] when the origin is gone.
    pub fn poll_requested_broadcast(&mut self, waiter: &Waiter) -> Poll<Result<BroadcastRequest>> {
        let taken = self.owner.shared.change(|state, _| {
            if state.orphaned {
                return Err(Error::Dropped);
            }
            match state.requests.pop(self.handler, Asked::is_wanted) {
                Some((id, path, asked)) => Ok(Some((id, path, asked.ticket.clone()))),
                None => {
                    waiter.register(&mut state.handlers);
                    Ok(None)
                }
            }
        });
        match taken {
            Err(error) => Poll::Ready(Err(error)),
            Ok(None) => Poll::Pending,
            Ok(Some((id, path, ticket))) => Poll::Ready(Ok(BroadcastRequest {
                owner: self.owner.clone(),
                path,
                id,
                ticket,
                answered: false,
            })),
        }
    }

    /// Waits for the next path that somebody wants; see [`poll_requested_broadcast`](Self::poll_requested_broadcast).
    ///
    /// # Errors
    /// [`Error::Dropped`] when the origin is gone.
    pub async fn requested_broadcast(&mut self) -> Result<BroadcastRequest> {
        kio::wait(|waiter| self.poll_requested_broadcast(waiter)).await
    }
}

impl Clone for OriginDynamic {
    fn clone(&self) -> Self {
        Self::new(self.owner.clone(), self.scope.clone())
    }
}

impl Drop for OriginDynamic {
    fn drop(&mut self) {
        // Unanswered tickets answer by going, which wakes: after unlocking.
        let orphans = self
            .owner
            .shared
            .change(|state, _| state.requests.remove_handler(self.handler));
        drop(orphans);
    }
}

/// A path that somebody wants. Answer it with [`accept`](Self::accept) or [`reject`](Self::reject); dropping it fails everybody
/// who waits with [`Error::NotFound`].
pub struct BroadcastRequest {
    owner: Arc<Owner>,
    path: PathOwned,
    id: u64,
    ticket: Ticket<BroadcastConsumer>,
    answered: bool,
}

impl BroadcastRequest {
    /// The full path, whatever the root of the handler.
    pub const fn path(&self) -> &PathOwned {
        &self.path
    }

    /// Everybody who has asked so far, whether they still wait or not. It never grows beyond the sessions there are.
    ///
    /// Whoever serves the path from a peer must not ask a peer that asks for it: see [`Viewer::may_see`].
    pub fn viewers(&self) -> Vec<Viewer> {
        self.owner.shared.change(|state, _| {
            let asked = state.requests.find(&self.path, self.id);
            asked.map_or_else(Vec::new, |asked| asked.viewers.clone())
        })
    }

    /// Gives the broadcast to everybody who waits, and to those who ask for the path while it is open. It is not announced.
    /// Without effect for those who got an announced broadcast meanwhile.
    pub fn accept(self, broadcast: impl Consume<BroadcastConsumer>) {
        self.accept_for(broadcast, Later::Everybody);
    }

    /// The same; whoever asks later gets it only if `later` says so, and makes a request anew otherwise.
    pub(crate) fn accept_for(mut self, broadcast: impl Consume<BroadcastConsumer>, later: Later) {
        let broadcast = broadcast.consume();
        self.owner
            .shared
            .change(|state, _| state.serve(&self.path, &broadcast, later));
        self.answer(Ok(broadcast));
    }

    /// Fails everybody who waits. The next request for the path starts anew.
    pub fn reject(mut self, error: Error) {
        self.answer(Err(error));
    }

    fn answer(&mut self, result: Result<BroadcastConsumer>) {
        self.answered = true;
        let asked = self
            .owner
            .shared
            .change(|state, _| state.requests.remove(&self.path, self.id));
        self.ticket.resolve(result);
        drop(asked);
    }

    /// Ready once nobody waits for the answer any more.
    pub fn poll_unused(&self, waiter: &Waiter) -> Poll<()> {
        self.ticket.poll_unwanted(waiter)
    }

    /// Waits until nobody waits for the answer any more.
    pub async fn unused(&self) {
        kio::wait(|waiter| self.poll_unused(waiter)).await;
    }
}

impl Drop for BroadcastRequest {
    fn drop(&mut self) {
        if !self.answered {
            self.answer(Err(Error::NotFound));
        }
    }
}
