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
    /// The id of the route with which this publisher claimed the path in this session: a later claim takes it over.
    claim: u64,
}

impl Publication {
    fn info(&self) -> &BroadcastInfo {
        self.broadcast.info()
    }
}

/// What a new route has changed.
pub(crate) struct Added {
    /// It is the route in use.
    pub(crate) used: bool,
    /// The broadcast of another publisher from which it took the path.
    pub(crate) superseded: Option<BroadcastConsumer>,
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

    /// The route that `viewer` is shown: the one in use, or the best that is not hidden from it.
    pub(crate) fn visible(&self, viewer: &Viewer) -> Option<&Publication> {
        let visible = |held: &Publication| viewer.may_see(held.info());
        let active = self.active().filter(|held| visible(held));
        active.or_else(|| self.best(visible))
    }

    /// Adds a guard to a broadcast that is published already. `None` if it is not.
    pub(crate) fn hold(&mut self, broadcast: &BroadcastConsumer) -> Option<u64> {
        let mut routes = self.routes.iter_mut();
        let known = routes.find(|held| held.broadcast.is_clone(broadcast))?;
        known.guards += 1;
        Some(known.id)
    }

    /// Adds a route, which is used if it is the best, or its publisher takes the path over.
    pub(crate) fn add(&mut self, path: &PathOwned, id: u64, broadcast: BroadcastConsumer) -> Added {
        let info = broadcast.info();
        // Who replaces its own announcement within a session claims nothing anew.
        let same = |held: &&Publication| {
            info.session != 0
                && held.info().session == info.session
                && held.info().publisher() == info.publisher()
        };
        let claim = self.routes.iter().find(same).map_or(id, |held| held.claim);
        let before = self.active;
        self.routes.push(Publication {
            id,
            guards: 1,
            key: Key::new(path, info),
            broadcast,
            stamp: id,
            claim,
        });
        self.promote();
        let used = self.active == id;
        let took_over = |held: &&Publication| {
            let (old, new) = (held.info(), self.active().map(Publication::info));
            used && held.id == before
                && new.is_some_and(|new| {
                    new.is_direct() && old.is_direct() && new.publisher() != old.publisher()
                })
        };
        let superseded = self.routes.iter().find(took_over);
        Added {
            used,
            superseded: superseded.map(|held| held.broadcast.clone()),
        }
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

    /// Uses the best route.
    fn promote(&mut self) {
        if let Some(best) = self.best(|_| true) {
            self.active = best.id;
        }
    }

    /// The best of the routes that are `eligible`.
    ///
    /// Of publishers that are connected to this node itself the last one to claim the path has it, whatever its routes cost, unless
    /// it is about to leave: the others may be dead without anybody knowing yet. Then the key decides, since all nodes must come to
    /// the same choice between routes through relays. Of equal routes the newest is used, for the session of the other may be dead;
    /// one published here is not, and stays.
    fn best(&self, eligible: impl Fn(&Publication) -> bool) -> Option<&Publication> {
        let routes = || self.routes.iter().filter(|held| eligible(held));
        let holder = routes()
            .filter(|held| held.info().is_direct())
            .max_by_key(|held| (!held.info().is_draining(), held.claim))
            .map(|held| held.info().publisher());
        routes()
            .filter(|held| !held.info().is_direct() || Some(held.info().publisher()) == holder)
            .min_by_key(|held| {
                let stands_by = held.info().hops.is_empty() && held.id != self.active;
                (held.key, stands_by, Reverse(held.id))
            })
    }
}
