//! What is published where, who follows it, and who asks for more.

use std::sync::{Arc, Weak};

use kio::WaiterList;

use super::{
    Viewer,
    announce::{Announced, Cursor, Unseen},
    scope::Scope,
    slot::Slot,
};
use crate::{
    Instant, Limits, Path, PathOwned, Result,
    map::Map,
    model::{
        broadcast::{self, BroadcastConsumer, BroadcastInfo},
        queue::{Answer, Queue, Ticket},
    },
};

pub(crate) struct State {
    /// A path is here exactly while something is published on it.
    slots: Map<PathOwned, Slot>,
    pub(crate) cursors: Map<u64, Cursor>,
    /// Requests for paths nobody has announced; by absolute path, for all views of the origin.
    pub(crate) requests: Queue<PathOwned, Asked, Scope>,
    /// Handlers that wait for a request.
    pub(crate) handlers: WaiterList,
    /// Broadcasts that answered a request, to be found again while they are open. Never announced.
    served: Map<PathOwned, Served>,
    sweep_at: usize,
    /// Ids of publications and cursors.
    next: u64,
    /// No producer and no handler is left.
    pub(crate) orphaned: bool,
}

struct Served {
    broadcast: Weak<broadcast::Shared>,
    info: BroadcastInfo,
    later: Later,
}

/// Who of those who ask later is given a broadcast that answered a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Later {
    Everybody,
    /// Those whose session began by that time: whoever came after it has to be looked at first.
    Until(Instant),
    Nobody,
}

impl Later {
    fn holds(self, viewer: &Viewer) -> bool {
        match self {
            Self::Everybody => true,
            Self::Until(until) => viewer.since <= until,
            Self::Nobody => false,
        }
    }
}

/// A request for a path that nobody has announced.
pub(crate) struct Asked {
    pub(crate) ticket: Ticket<BroadcastConsumer>,
    /// Who has asked: one entry per session, and one for everybody on this side.
    pub(crate) viewers: Vec<Viewer>,
}

impl Asked {
    pub(crate) fn new(viewer: &Viewer) -> Self {
        Self {
            ticket: Ticket::new(),
            viewers: vec![viewer.clone()],
        }
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.ticket.is_wanted()
    }
}

/// What a viewer finds on a path.
pub(crate) enum Found {
    Here(BroadcastConsumer),
    /// Only what came from the viewer.
    Hidden,
    Nothing,
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
    /// The news that the slowest of the cursors concerned has not taken.
    pub(crate) longest: usize,
    dropped: Vec<BroadcastConsumer>,
    /// The broadcast whose path another publisher has taken over.
    superseded: Option<BroadcastConsumer>,
}

impl After {
    pub(crate) fn run(self) {
        for (ticket, result) in self.answers {
            ticket.resolve(result);
        }
        for waiters in self.wakes {
            waiters.wake();
        }
        // Last: who looks again finds the new one.
        if let Some(broadcast) = self.superseded {
            broadcast.shared().supersede();
        }
    }
}

/// Below this many entries nobody looks for closed broadcasts.
const SWEEP: usize = 16;

impl State {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            slots: Map::new(),
            cursors: Map::new(),
            requests: Queue::new(limits.broadcast_requests),
            handlers: WaiterList::new(),
            served: Map::new(),
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

    /// Whether anything is announced on a path.
    pub(crate) fn is_announced(&self, path: &Path<'_>) -> bool {
        self.slots.contains_key(path.as_str())
    }

    /// What is announced on a path, as far as `viewer` may see it.
    pub(crate) fn announced(&self, path: &Path<'_>, viewer: &Viewer) -> Found {
        let Some(slot) = self.slots.get(path.as_str()) else {
            return Found::Nothing;
        };
        slot.visible(viewer)
            .map_or(Found::Hidden, |held| Found::Here(held.broadcast.clone()))
    }

    // ---- announcing

    /// A new cursor, filled with what is announced in its scope.
    pub(crate) fn add_cursor(&mut self, scope: Scope, viewer: Viewer) -> u64 {
        let mut cursor = Cursor::new(scope, viewer);
        for prefix in cursor.scope.prefixes() {
            let under = self
                .slots
                .range(prefix.clone()..)
                .take_while(|(path, _)| path.as_str().starts_with(prefix.as_str()))
                .filter(|(path, _)| path.has_prefix(prefix));
            for (path, slot) in under {
                if let Some(held) = slot.visible(&cursor.viewer) {
                    let news = Unseen::Active(held.broadcast.clone());
                    cursor.unseen.insert(path.clone(), news);
                }
            }
        }
        let id = self.mint();
        self.cursors.insert(id, cursor);
        id
    }

    /// Changes the routes to a path, and tells every cursor what is new for it.
    fn change<T>(
        &mut self,
        path: &PathOwned,
        after: &mut After,
        change: impl FnOnce(&mut Slot) -> T,
    ) -> T {
        let mut slot = self.slots.remove(path).unwrap_or_else(Slot::new);
        let stamp = |slot: &Slot, cursor: &Cursor| {
            let shown = slot.visible(&cursor.viewer);
            shown.map(|held| held.stamp)
        };
        let mut concerned: Vec<_> = self
            .cursors
            .values_mut()
            .filter(|cursor| cursor.scope.allows(path))
            .map(|cursor| (stamp(&slot, cursor), cursor))
            .collect();
        let result = change(&mut slot);
        for (before, cursor) in &mut concerned {
            let event = match (&before, slot.visible(&cursor.viewer)) {
                (None, None) => continue,
                (Some(before), Some(held)) if *before == held.stamp => continue,
                (None, Some(held)) => Announced::Active(held.broadcast.clone()),
                (Some(_), Some(held)) => Announced::Restart(held.broadcast.clone()),
                (Some(_), None) => Announced::Ended,
            };
            after.unseen.extend(cursor.note(path, event));
            after.longest = after.longest.max(cursor.unseen.len());
            after.wakes.push(cursor.waiters.take());
        }
        if !slot.is_empty() {
            self.slots.insert(path.clone(), slot);
        }
        result
    }

    /// Publishes a broadcast; the best route of a path is the one that is announced.
    pub(crate) fn publish(
        &mut self,
        path: &PathOwned,
        broadcast: BroadcastConsumer,
        after: &mut After,
    ) -> u64 {
        let known = self.slots.get_mut(path);
        if let Some(id) = known.and_then(|slot| slot.hold(&broadcast)) {
            after.dropped.push(broadcast);
            return id;
        }
        let id = self.mint();
        let added = self.change(path, after, |slot| slot.add(path, id, broadcast.clone()));
        after.superseded = added.superseded;
        // Announced wins: whoever waits for a handler has the broadcast now.
        if added.used
            && let Some(asked) = self.requests.fulfil(path)
        {
            after.answers.push((asked.ticket, Ok(broadcast)));
        } else {
            after.dropped.push(broadcast);
        }
        id
    }

    /// One guard of a publication is gone.
    pub(crate) fn unpublish(&mut self, path: &PathOwned, id: u64, after: &mut After) {
        let gone = self.change(path, after, |slot| slot.release(id));
        after.dropped.extend(gone);
        if self.is_over() {
            self.wake_cursors(after);
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
        let stamp = self.mint();
        let old = self.change(path, after, |slot| slot.reroute(path, id, info, stamp));
        after.dropped.extend(old);
    }

    pub(crate) fn wake_cursors(&mut self, after: &mut After) {
        after.wakes.extend(
            self.cursors
                .values_mut()
                .map(|cursor| cursor.waiters.take()),
        );
    }

    // ---- requests

    /// Joins a request for this path that is not answered yet.
    pub(crate) fn join(
        &mut self,
        path: &PathOwned,
        viewer: &Viewer,
        after: &mut After,
    ) -> Option<Answer<BroadcastConsumer>> {
        let (_, in_service) = self.requests.get(path)?;
        let asked = self.requests.get_mut(path)?;
        if !asked.viewers.contains(viewer) {
            asked.viewers.push(viewer.clone());
        }
        let answer = asked.ticket.join();
        // A handler may have passed it over while nobody wanted it.
        if !in_service {
            after.wakes.push(self.handlers.take());
        }
        Some(answer)
    }

    /// A broadcast that answered a request for this path before and is still open.
    pub(crate) fn served(&self, path: &Path<'_>, viewer: &Viewer) -> Found {
        let served = self.served.get(path.as_str());
        let served = served.filter(|served| served.later.holds(viewer));
        match served.and_then(Served::open) {
            None => Found::Nothing,
            Some(broadcast) if viewer.may_see(broadcast.info()) => Found::Here(broadcast),
            Some(_) => Found::Hidden,
        }
    }

    /// Remembers what answered a request.
    pub(crate) fn serve(&mut self, path: &PathOwned, broadcast: &BroadcastConsumer, later: Later) {
        if self.served.len() >= self.sweep_at {
            self.served.retain(|_, served| served.open().is_some());
            self.sweep_at = SWEEP.max(self.served.len() * 2);
        }
        let served = Served {
            broadcast: Arc::downgrade(broadcast.shared()),
            info: broadcast.info().clone(),
            later,
        };
        self.served.insert(path.clone(), served);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Runtime, test_host::TestHost};

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn served_broadcasts_that_have_closed_are_swept() {
        let limits = Limits::default();
        let runtime = Runtime::new(TestHost::default(), limits.clone());
        let mut state = State::new(&limits);
        let mut serve = |name: String| {
            let broadcast = BroadcastInfo::new().produce(&runtime);
            let path = Path::parse(&name).unwrap().into_owned();
            state.serve(&path, &broadcast.consume(), Later::Everybody);
            (broadcast, state.served.len())
        };
        let open: Vec<_> = (0..50).map(|name| serve(format!("open/{name}"))).collect();
        for name in 0..1000 {
            let (_closed, held) = serve(name.to_string());
            assert!(held <= 2 * open.len(), "{name}: {held}");
        }
        // So seldom that looking through them all costs little for each.
        assert!(state.sweep_at >= 2 * open.len(), "{}", state.sweep_at);
        let found = state.served(&Path::parse("open/49").unwrap(), &Viewer::default());
        assert!(matches!(found, Found::Here(_)));
        let gone = state.served(&Path::parse("999").unwrap(), &Viewer::default());
        assert!(matches!(gone, Found::Nothing));
    }
}
