//! How a broadcast got here.

use crate::{
    Runtime,
    model::{
        broadcast::BroadcastProducer,
        origin::{Origin, OriginList},
        route::Cost,
    },
};

/// The route a broadcast came by. It belongs to the handle, not to the broadcast: one broadcast may be known by several routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BroadcastInfo {
    /// The origins it passed, the publisher's first. Empty for a broadcast published here.
    pub hops: OriginList,
    /// What the route costs.
    pub cost: Cost,
    /// The publisher gave no id, so that the first hop was made up for its connection.
    pub anonymous: bool,
    /// The session it was learned from, as a number private to this process; 0 for a broadcast published here.
    pub session: u64,
}

impl BroadcastInfo {
    /// A broadcast published here.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the hops.
    pub fn with_hops(mut self, hops: OriginList) -> Self {
        self.hops = hops;
        self
    }

    /// The origin it was published in, as far as it gave its id.
    pub(crate) fn publisher(&self) -> Option<Origin> {
        self.hops.iter().next()
    }

    /// Whether its publisher is connected to this node itself: no relay is in between.
    pub(crate) fn is_direct(&self) -> bool {
        match self.hops.as_slice() {
            [_] => true,
            // The name that was made up for the connection, and the one that was not given.
            [_, sender] => self.anonymous && !sender.is_known(),
            _ => false,
        }
    }

    /// Whether the session it came by is about to end.
    pub(crate) fn is_draining(&self) -> bool {
        self.cost == Cost::MAX
    }

    /// Opens a broadcast.
    pub fn produce(self, runtime: &Runtime) -> BroadcastProducer {
        BroadcastProducer::new(self, runtime)
    }
}
