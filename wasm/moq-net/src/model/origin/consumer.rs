//! Finding broadcasts.

use std::{sync::Arc, task::Poll};

use kio::{Future, Pending, Waiter};

use super::{
    AnnounceConsumer, Origin, OriginPublish, Viewer,
    scope::Scope,
    shared::Shared,
    state::{Asked, Found},
};
use crate::{
    Error, Path, PathOwned, Result,
    cost::peaks::Peak,
    model::{Consume, broadcast::BroadcastConsumer, queue::Answer},
};

/// Finds the broadcasts that its scope allows.
#[derive(Clone)]
pub struct OriginConsumer {
    shared: Arc<Shared>,
    scope: Scope,
    viewer: Arc<Viewer>,
}

impl OriginConsumer {
    pub(crate) fn new(shared: Arc<Shared>, scope: Scope) -> Self {
        let viewer = Arc::default();
        Self {
            shared,
            scope,
            viewer,
        }
    }

    /// The same scope as `viewer` may see it: of several routes to a path the best one that did not come from it, and nothing
    /// of what only came from it.
    #[must_use]
    pub fn viewed_by(&self, viewer: Viewer) -> Self {
        Self {
            viewer: Arc::new(viewer),
            ..self.clone()
        }
    }

    /// The id of this origin.
    pub fn info(&self) -> Origin {
        self.shared.info
    }

    /// What it covers, as full paths.
    pub(crate) fn prefixes(&self) -> &[PathOwned] {
        self.scope.prefixes()
    }

    /// Whether what is published there is in this scope.
    pub(crate) fn covers(&self, publish: &OriginPublish) -> bool {
        publish.is_in(&self.shared) && self.scope.allows(publish.path())
    }

    /// Whether both handles, whatever their scopes, belong to one origin.
    pub fn is_clone(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The broadcast announced on `path`, or what a handler gives for it. It does not wait for an announcement to come, but takes
    /// one that comes while a handler is busy. Requests for one path are one; they are made in this call, not on its first poll.
    ///
    /// # Errors
    /// At once: [`Error::NotFound`] outside the scope, or when it is not announced and nobody serves it; [`Error::Dropped`] when the
    /// origin is gone; [`Error::NoCapacity`] when too many requests wait. Later: what the request was rejected with, or
    /// [`Error::NotFound`] when it was dropped.
    pub fn request_broadcast(&self, path: &Path<'_>) -> Result<Pending<BroadcastRequested>> {
        let path = self.scope.absolute(path)?;
        // Before anything else: a reader must not reach other paths through the handlers.
        if !self.scope.allows(&path) && !kio::fault::mutant("ignore-scope") {
            return Err(Error::NotFound);
        }
        let outcome = self.shared.change(|state, after| {
            match state.announced(&path, &self.viewer) {
                Found::Here(broadcast) => return Ok(Outcome::Found(broadcast)),
                // Whoever brought it need not ask for it here, and nobody asks others on its behalf.
                Found::Hidden => return Err(Error::NotFound),
                Found::Nothing => {}
            }
            if state.orphaned {
                return Err(Error::Dropped);
            }
            if let Some(answer) = state.join(&path, &self.viewer, after) {
                return Ok(Outcome::Asked(answer));
            }
            match state.served(&path, &self.viewer) {
                Found::Here(broadcast) => return Ok(Outcome::Found(broadcast)),
                Found::Hidden => return Err(Error::NotFound),
                Found::Nothing => {}
            }
            let asked = Asked::new(&self.viewer);
            let answer = asked.ticket.join();
            state.requests.prune(Asked::is_wanted);
            state.requests.insert(path, asked)?;
            let runtime = self.shared.runtime();
            runtime.mark(Peak::BroadcastRequests, state.requests.waiting());
            after.wakes.push(state.handlers.take());
            Ok(Outcome::Asked(answer))
        })?;
        Ok(Pending::new(BroadcastRequested { outcome }))
    }

    /// A cursor that first gives what is announced now and then the changes.
    pub fn announced(&self) -> AnnounceConsumer {
        AnnounceConsumer::new(
            self.shared.clone(),
            self.scope.clone(),
            Viewer::clone(&self.viewer),
        )
    }

    /// The broadcast of this path as far as that is known already; asks nobody.
    pub(crate) fn peek_broadcast(&self, path: &Path<'_>) -> Option<BroadcastConsumer> {
        let path = self.scope.absolute(path).ok()?;
        if !self.scope.allows(&path) {
            return None;
        }
        self.shared.change(|state, _| {
            let found = match state.announced(&path, &self.viewer) {
                Found::Nothing => state.served(&path, &self.viewer),
                found => found,
            };
            match found {
                Found::Here(broadcast) => Some(broadcast),
                Found::Hidden | Found::Nothing => None,
            }
        })
    }

    /// Whether a request for this path has any sense: it is in the scope, and there or served on request.
    pub(crate) fn may_request(&self, path: &Path<'_>) -> bool {
        let Ok(path) = self.scope.absolute(path) else {
            return false;
        };
        (self.scope.allows(&path) || kio::fault::mutant("ignore-scope"))
            && self
                .shared
                .change(|state, _| state.is_announced(&path) || state.requests.handled(&path))
    }

    /// Waits until a broadcast is announced on exactly this path. `None` outside the scope, or when nothing can be announced any more.
    pub async fn announced_broadcast(&self, path: &Path<'_>) -> Option<BroadcastConsumer> {
        if !self.scope.allows(&self.scope.absolute(path).ok()?) {
            return None;
        }
        let mut cursor = self.scope(&[path.as_ref()])?.announced();
        loop {
            let (found, event) = cursor.next().await?;
            if found == *path
                && let Some(broadcast) = event.broadcast()
            {
                return Some(broadcast);
            }
        }
    }

    /// The same root, with no more than these prefixes (relative to it). `None` when none of them is allowed.
    pub fn scope(&self, prefixes: &[Path<'_>]) -> Option<Self> {
        Some(Self {
            scope: self.scope.narrow(prefixes)?,
            ..self.clone()
        })
    }

    /// Paths relative to `prefix`. `None` when nothing under it is allowed.
    pub fn with_root(&self, prefix: &Path<'_>) -> Option<Self> {
        Some(Self {
            scope: self.scope.rooted(prefix)?,
            ..self.clone()
        })
    }

    /// What paths are relative to.
    pub const fn root(&self) -> &PathOwned {
        self.scope.root()
    }

    /// The allowed prefixes, relative to the root.
    pub fn allowed(&self) -> Vec<PathOwned> {
        self.scope.allowed()
    }

    /// The full path of a relative one.
    ///
    /// # Errors
    /// [`Error::BoundsExceeded`] when it is too long.
    pub fn absolute(&self, path: &Path<'_>) -> Result<PathOwned> {
        self.scope.absolute(path)
    }
}

impl Consume<Self> for OriginConsumer {
    fn consume(&self) -> Self {
        self.clone()
    }
}

/// A request for a broadcast. Dropping it withdraws it if nobody else waits for the path.
pub struct BroadcastRequested {
    outcome: Outcome,
}

enum Outcome {
    Found(BroadcastConsumer),
    Asked(Answer<BroadcastConsumer>),
}

impl BroadcastRequested {
    /// The broadcast, once there is an answer. May be asked again.
    ///
    /// # Errors
    /// What the request was rejected with, or [`Error::NotFound`] when it was dropped.
    pub fn poll_ok(&self, waiter: &Waiter) -> Poll<Result<BroadcastConsumer>> {
        match &self.outcome {
            Outcome::Found(broadcast) => Poll::Ready(Ok(broadcast.clone())),
            Outcome::Asked(answer) => answer.poll(waiter, Error::NotFound),
        }
    }
}

impl Future for BroadcastRequested {
    type Output = Result<BroadcastConsumer>;

    fn poll(&self, waiter: &Waiter) -> Poll<Self::Output> {
        self.poll_ok(waiter)
    }
}
