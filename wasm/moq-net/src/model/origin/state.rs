//! What is published where, who follows it, and who asks for more.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use kio::WaiterList;

use super::{
    announce::{Announced, Cursor, Unseen},
    route::Key,
    scope::Scope,
};
use crate::{
    Limits, Path, PathOwned, Result,
    model::{
        broadcast::{self, BroadcastConsumer, BroadcastInfo},
        queue::{Queue, Ticket},
    },
};

pub(crate) struct State {
    /// A path is here exactly while something is published on it.
    slots: BTreeMap<PathOwned, Slot>,
    pub(crate) cursors: BTreeMap<u64, Cursor>,
    /// Requests for paths nobody has announced; by absolute path, for all views of the origin.
    pub(crate) requests: Queue<PathOwned, Ticket<BroadcastConsumer>, Scope>,
    /// Handlers that wait for a request.
    pub(crate) handlers: WaiterList,
    /// Broadcasts that answered a request, to be found again while they are open. Never announced.
    served: BTreeMap<PathOwned, Served>,
    sweep_at: usize,
    /// Ids of publications and cursors.
    next: u64,
    /// No producer and no handler is left.
    pub(crate) orphaned: bool,
}

struct Slot {
    active: Publication,
    backups: Vec<Publication>,
}

struct Publication {
    id: u64,
    /// Guards that hold it: the same broadcast may be published twice.
    guards: usize,
    broadcast: BroadcastConsumer,
    key: Key,
}

struct Served {
    broadcast: Weak<broadcast::Shared>,
    info: BroadcastInfo,
}

impl Served {
    fn open(&self) -> Option<BroadcastConsumer> {
        let broadcast = self.broadcast.upgrade()?;
        let open = !broadcast.channel.is_closed();
        open.then(|| BroadcastConsumer::new(broadcast, Arc::new(self.info.clone())))
    }
}

/// What is to be done once the lock is released.
#[derive(Default)]
#[must_use = "somebody waits for it"]
pub(crate) struct After {
    pub(crate) wakes: Vec<WaiterList>,
    pub(crate) answers: Vec<(Ticket<BroadcastConsumer>, Result<BroadcastConsumer>)>,
    pub(crate) unseen: Vec<Unseen>,
    dropped: Vec<BroadcastConsumer>,
}

impl After {
    pub(crate) fn run(self) {
        for (ticket, result) in self.answers {
            ticket.resolve(result);
        }
        for waiters in self.wakes {
            waiters.wake();
        }
    }
}

/// Below this many entries nobody looks for closed broadcasts.
const SWEEP: usize = 16;

impl State {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            slots: BTreeMap::new(),
            cursors: BTreeMap::new(),
            requests: Queue::new(limits.broadcast_requests),
            handlers: WaiterList::new(),
            served: BTreeMap::new(),
            sweep_at: SWEEP,
            next: 0,
            orphaned: false,
        }
    }

    fn mint(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Whether nothing can be announced any more.
    pub(crate) fn is_over(&self) -> bool {
        self.orphaned && self.slots.is_empty()
    }

    /// What is announced on a path.
    pub(crate) fn announced(&self, path: &Path<'_>) -> Option<&BroadcastConsumer> {
        self.slots
            .get(path.as_str())
            .map(|slot| &slot.active.broadcast)
    }

    // ---- announcing

    /// A new cursor, filled with what is announced in its scope.
    pub(crate) fn add_cursor(&mut self, scope: Scope) -> u64 {
        let mut cursor = Cursor::new(scope);
        for prefix in cursor.scope.prefixes() {
            let under = self
                .slots
                .range(prefix.clone()..)
                .take_while(|(path, _)| path.as_str().starts_with(prefix.as_str()))
                .filter(|(path, _)| path.has_prefix(prefix));
            for (path, slot) in under {
                cursor
                    .unseen
                    .insert(path.clone(), Unseen::Active(slot.active.broadcast.clone()));
            }
        }
        let id = self.mint();
        self.cursors.insert(id, cursor);
        id
    }

    fn emit(&mut self, path: &PathOwned, event: &Announced, after: &mut After) {
        for cursor in self.cursors.values_mut() {
            if cursor.scope.allows(path) {
                after.unseen.extend(cursor.note(path, event.clone()));
                after.wakes.push(cursor.waiters.take());
            }
        }
    }

    /// Publishes a broadcast; the best route of a path is the one that is announced.
    pub(crate) fn publish(
        &mut self,
        path: &PathOwned,
        broadcast: BroadcastConsumer,
        after: &mut After,
    ) -> u64 {
        if let Some(known) = self
            .slots
            .get_mut(path)
            .and_then(|slot| slot.find(|held| held.broadcast.is_clone(&broadcast)))
        {
            known.guards += 1;
            after.dropped.push(broadcast);
            return known.id;
        }
        let id = self.mint();
        let key = Key::new(path, broadcast.info());
        let publication = Publication {
            id,
            guards: 1,
            broadcast: broadcast.clone(),
            key,
        };
        match self.slots.get_mut(path) {
            None => {
                self.slots.insert(
                    path.clone(),
                    Slot {
                        active: publication,
                        backups: Vec::new(),
                    },
                );
                self.emit(path, &Announced::Active(broadcast.clone()), after);
            }
            Some(slot) if key < slot.active.key => {
                let old = std::mem::replace(&mut slot.active, publication);
                slot.backups.push(old);
                self.emit(path, &Announced::Restart(broadcast.clone()), after);
            }
            Some(slot) => {
                slot.backups.push(publication);
                return id;
            }
        }
        // Announced wins: whoever waits for a handler has the broadcast now.
        if let Some(ticket) = self.requests.fulfil(path) {
            after.answers.push((ticket, Ok(broadcast)));
        }
        id
    }

    /// One guard of a publication is gone.
    pub(crate) fn unpublish(&mut self, path: &PathOwned, id: u64, after: &mut After) {
        let Some(slot) = self.slots.get_mut(path) else {
            return;
        };
        let Some(publication) = slot.find(|held| held.id == id) else {
            return;
        };
        publication.guards -= 1;
        if publication.guards > 0 {
            return;
        }
        if slot.active.id != id {
            let gone = slot
                .backups
                .iter()
                .position(|held| held.id == id)
                .map(|at| slot.backups.remove(at));
            after.dropped.extend(gone.map(|held| held.broadcast));
            return;
        }
        match slot.take_best() {
            Some(best) => {
                let old = std::mem::replace(&mut slot.active, best);
                after.dropped.push(old.broadcast);
                let now = slot.active.broadcast.clone();
                self.emit(path, &Announced::Restart(now), after);
            }
            None => {
                after
                    .dropped
                    .extend(self.slots.remove(path).map(|slot| slot.active.broadcast));
                self.emit(path, &Announced::Ended, after);
                if self.is_over() {
                    self.wake_cursors(after);
                }
            }
        }
    }

    /// The route of a publication has changed.
    pub(crate) fn reroute(
        &mut self,
        path: &PathOwned,
        id: u64,
        info: BroadcastInfo,
        after: &mut After,
    ) {
        let Some(slot) = self.slots.get_mut(path) else {
            return;
        };
        let Some(publication) = slot.find(|held| held.id == id) else {
            return;
        };
        if *publication.broadcast.info() == info {
            return;
        }
        publication.key = Key::new(path, &info);
        let rerouted = publication.broadcast.with_info(info);
        after
            .dropped
            .push(std::mem::replace(&mut publication.broadcast, rerouted));
        let was_active = slot.active.id == id;
        let mut changed = was_active;
        if let Some(best) = slot.take_best() {
            if best.key < slot.active.key {
                let old = std::mem::replace(&mut slot.active, best);
                slot.backups.push(old);
                changed = true;
            } else {
                slot.backups.push(best);
            }
        }
        if changed {
            let now = slot.active.broadcast.clone();
            self.emit(path, &Announced::Restart(now), after);
        }
    }

    pub(crate) fn wake_cursors(&mut self, after: &mut After) {
        after.wakes.extend(
            self.cursors
                .values_mut()
                .map(|cursor| cursor.waiters.take()),
        );
    }

    // ---- requests

    /// A broadcast that answered a request for this path before and is still open.
    pub(crate) fn served(&self, path: &Path<'_>) -> Option<BroadcastConsumer> {
        self.served.get(path.as_str())?.open()
    }

    /// Remembers what answered a request.
    pub(crate) fn serve(&mut self, path: &PathOwned, broadcast: &BroadcastConsumer) {
        if self.served.len() >= self.sweep_at {
            self.served.retain(|_, served| served.open().is_some());
            self.sweep_at = SWEEP.max(self.served.len() * 2);
        }
        let served = Served {
            broadcast: Arc::downgrade(broadcast.shared()),
            info: broadcast.info().clone(),
        };
        self.served.insert(path.clone(), served);
    }
}

impl Slot {
    fn find(&mut self, is: impl Fn(&Publication) -> bool) -> Option<&mut Publication> {
        std::iter::once(&mut self.active)
            .chain(&mut self.backups)
            .find(|held| is(held))
    }

    /// Takes the best backup; of equal ones the newest.
    fn take_best(&mut self) -> Option<Publication> {
        let best = (0..self.backups.len()).min_by_key(|at| {
            let held = &self.backups[*at];
            (held.key, std::cmp::Reverse(held.id))
        })?;
        Some(self.backups.remove(best))
    }
}
