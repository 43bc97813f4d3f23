//! Publishing broadcasts.

use std::{ops::Deref, sync::Arc};

use super::{
    AnnounceProducer, Origin, OriginConsumer, OriginDynamic,
    scope::Scope,
    shared::{Owner, Shared},
};
use crate::{
    Error, Path, PathOwned, Result, Runtime,
    model::{
        Consume,
        broadcast::{BroadcastConsumer, BroadcastInfo, BroadcastProducer},
    },
};

/// Publishes broadcasts on the paths its scope allows.
#[derive(Clone)]
pub struct OriginProducer {
    owner: Arc<Owner>,
    scope: Scope,
}

impl OriginProducer {
    pub(crate) fn new(info: Origin, runtime: &Runtime) -> Self {
        Self {
            owner: Owner::new(info, runtime),
            scope: Scope::full(),
        }
    }

    /// The id of this origin.
    pub fn info(&self) -> Origin {
        self.owner.shared.info
    }

    /// Whether both handles, whatever their scopes, belong to one origin.
    pub fn is_clone(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.owner.shared, &other.owner.shared)
    }

    /// Makes a broadcast and announces it. It stays announced as long as the result lives.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] outside the allowed prefixes.
    pub fn create_broadcast(&self, path: &Path<'_>) -> Result<BroadcastPublish> {
        self.create_broadcast_with(path, BroadcastInfo::new())
    }

    /// Makes a broadcast that came from elsewhere, as `info` says, and announces it. It stays announced as long as the result lives.
    ///
    /// # Errors
    /// As [`Self::publish_broadcast`].
    pub fn create_broadcast_with(
        &self,
        path: &Path<'_>,
        info: BroadcastInfo,
    ) -> Result<BroadcastPublish> {
        let producer = info.produce(self.owner.shared.runtime());
        let publish = self.publish_broadcast(path, &producer)?;
        Ok(BroadcastPublish { producer, publish })
    }

    /// Announces a broadcast. It stays announced as long as the result lives; if it closes before, the announcement stays.
    ///
    /// Of several broadcasts on one path the one with the best route is announced, the others stand by. The same broadcast
    /// published again is one publication with two guards.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] outside the allowed prefixes. [`Error::Duplicate`] when its hops hold this origin: it has been here.
    pub fn publish_broadcast(
        &self,
        path: &Path<'_>,
        broadcast: impl Consume<BroadcastConsumer>,
    ) -> Result<OriginPublish> {
        let path = self.scope.absolute(path)?;
        if !self.scope.allows(&path) {
            return Err(Error::Unauthorized);
        }
        let broadcast = broadcast.consume();
        let loops = broadcast.info().hops.contains(self.info());
        if loops && !kio::fault::mutant("keep-loops") {
            return Err(Error::Duplicate);
        }
        let shared = self.owner.shared.clone();
        let id = shared.change(|state, after| state.publish(&path, broadcast, after));
        Ok(OriginPublish { shared, path, id })
    }

    /// Opts in to serving paths that nobody has announced. The handler is asked only for paths in this scope.
    pub fn dynamic(&self) -> OriginDynamic {
        OriginDynamic::new(self.owner.clone(), self.scope.clone())
    }

    /// A reader of the same scope.
    pub fn consume(&self) -> OriginConsumer {
        OriginConsumer::new(self.owner.shared.clone(), self.scope.clone())
    }

    /// Makes cursors over the announcements of this scope.
    pub fn announces(&self) -> AnnounceProducer {
        AnnounceProducer::new(self.owner.shared.clone(), self.scope.clone())
    }

    /// The same root, with no more than these prefixes (relative to it). `None` when none of them is allowed.
    pub fn scope(&self, prefixes: &[Path<'_>]) -> Option<Self> {
        Some(Self {
            owner: self.owner.clone(),
            scope: self.scope.narrow(prefixes)?,
        })
    }

    /// Paths relative to `prefix`. `None` when nothing under it is allowed.
    pub fn with_root(&self, prefix: &Path<'_>) -> Option<Self> {
        Some(Self {
            owner: self.owner.clone(),
            scope: self.scope.rooted(prefix)?,
        })
    }

    /// What paths are relative to.
    pub fn root(&self) -> &PathOwned {
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

impl Consume<OriginConsumer> for OriginProducer {
    fn consume(&self) -> OriginConsumer {
        Self::consume(self)
    }
}

/// Keeps a broadcast announced. Dropping it announces the best of those that stand by, or the end.
pub struct OriginPublish {
    shared: Arc<Shared>,
    path: PathOwned,
    id: u64,
}

impl OriginPublish {
    /// The full path.
    pub const fn path(&self) -> &PathOwned {
        &self.path
    }

    /// Whether it belongs to this origin.
    pub(crate) fn is_in(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    /// The same broadcast by another route (other hops or costs). Followers see a restart, and the route with the best key is the one
    /// that is announced.
    pub fn update(&self, info: BroadcastInfo) {
        self.shared
            .change(|state, after| state.reroute(&self.path, self.id, info, after));
    }

    /// Withdraws it, as dropping does.
    pub fn unannounce(self) {}
}

impl Drop for OriginPublish {
    fn drop(&mut self) {
        if kio::fault::mutant("forget-unannounce") {
            return;
        }
        self.shared
            .change(|state, after| state.unpublish(&self.path, self.id, after));
    }
}

/// A broadcast made by [`OriginProducer::create_broadcast`], announced as long as this lives. Use it as its producer.
pub struct BroadcastPublish {
    // Withdrawn before the broadcast closes.
    publish: OriginPublish,
    producer: BroadcastProducer,
}

impl BroadcastPublish {
    /// The full path.
    pub const fn path(&self) -> &PathOwned {
        self.publish.path()
    }

    /// Withdraws the announcement and gives the producer back.
    pub fn unannounce(self) -> BroadcastProducer {
        self.producer
    }
}

impl Deref for BroadcastPublish {
    type Target = BroadcastProducer;

    fn deref(&self) -> &BroadcastProducer {
        &self.producer
    }
}
