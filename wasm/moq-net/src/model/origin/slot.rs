//! What is published on one path: several routes, of which each viewer is shown one.

use std::cmp::Reverse;

use super::{Viewer, route::Key};
use crate::{
    PathOwned,
    model::broadcast::{BroadcastConsumer, BroadcastInfo},
};

/// The routes to one path. Without any it is gone.
pub(crate) struct Slot {
    /// The one that is used.
    active: u64,
    routes: Vec<Publication>,
}

pub(crate) struct Publication {
    pub(crate) id: u64,
    /// Guards that hold it: the same broadcast may be published twice.
    guards: usize,
    pub(crate) broadcast: BroadcastConsumer,
    key: Key,
    /// Another number whenever there is something new to tell about it.
    pub(crate) stamp: u64,
}

impl Slot {
    /// No route yet.
    pub(crate) const fn new() -> Self {
        Self {
            active: 0,
            routes: Vec::new(),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The route that `viewer` is shown: the one in use, or the best that is not hidden from it. Of equal ones the newest.
    pub(crate) fn visible(&self, viewer: &Viewer) -> Option<&Publication> {
        let visible = |held: &&Publication| viewer.may_see(held.broadcast.info());
        let active = self.routes.iter().find(|held| held.id == self.active);
        active.filter(visible).or_else(|| {
            let shown = self.routes.iter().filter(visible);
            shown.min_by_key(|held| (held.key, Reverse(held.id)))
        })
    }

    /// Adds a guard to a broadcast that is published already. `None` if it is not.
    pub(crate) fn hold(&mut self, broadcast: &BroadcastConsumer) -> Option<u64> {
        let mut routes = self.routes.iter_mut();
        let known = routes.find(|held| held.broadcast.is_clone(broadcast))?;
        known.guards += 1;
        Some(known.id)
    }

    /// Adds a route; it is used if it is better than the one in use. Whether it is.
    pub(crate) fn add(&mut self, path: &PathOwned, id: u64, broadcast: BroadcastConsumer) -> bool {
        let key = Key::new(path, broadcast.info());
        let better = self.active().is_none_or(|active| key < active.key);
        self.routes.push(Publication {
            id,
            guards: 1,
            broadcast,
            key,
            stamp: id,
        });
        if better {
            self.active = id;
        }
        better
    }

    /// Takes one guard from a route, and the route with the last one.
    pub(crate) fn release(&mut self, id: u64) -> Option<BroadcastConsumer> {
        let at = self.routes.iter().position(|held| held.id == id)?;
        self.routes[at].guards -= 1;
        if self.routes[at].guards > 0 {
            return None;
        }
        let gone = self.routes.remove(at);
        if kio::fault::mutant("forget-standby") {
            self.routes.clear();
        }
        if self.active == id {
            self.promote();
        }
        Some(gone.broadcast)
    }

    /// Changes how a broadcast gets here; `stamp` tells it from what was told before. What is replaced is returned.
    pub(crate) fn reroute(
        &mut self,
        path: &PathOwned,
        id: u64,
        info: BroadcastInfo,
        stamp: u64,
    ) -> Option<BroadcastConsumer> {
        let held = self.routes.iter_mut().find(|held| held.id == id)?;
        if *held.broadcast.info() == info {
            return None;
        }
        held.key = Key::new(path, &info);
        held.stamp = stamp;
        let rerouted = held.broadcast.with_info(info);
        let old = std::mem::replace(&mut held.broadcast, rerouted);
        self.promote();
        Some(old)
    }

    fn active(&self) -> Option<&Publication> {
        self.routes.iter().find(|held| held.id == self.active)
    }

    /// Uses the best route. The one in use stays while none is better.
    fn promote(&mut self) {
        let rank = |held: &&Publication| (held.key, held.id != self.active, Reverse(held.id));
        if let Some(best) = self.routes.iter().min_by_key(rank) {
            self.active = best.id;
        }
    }
}
