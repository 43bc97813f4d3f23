//! Requests that coalesce: for unannounced broadcasts, unknown tracks and uncached groups.
//!
//! One entry per key, in the order of first asking, and handlers that take entries out one by one. An entry stays joinable while
//! it is *in service* (taken but not answered). The queue holds no lock of its own: it is a field of the state it serves, and
//! whatever must be told to requesters is returned to the caller, to be told after unlocking.

use std::task::Poll;

use kio::Waiter;

use crate::{Error, Result, map::Map};

/// Which keys a handler takes.
pub(crate) trait Covers<K> {
    fn covers(&self, key: &K) -> bool;
}

/// A handler that takes everything.
impl<K> Covers<K> for () {
    fn covers(&self, _: &K) -> bool {
        true
    }
}

/// Why nothing was queued.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    NoHandler,
    Full,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoHandler => Self::NotFound,
            Refused::Full => Self::NoCapacity(
                "too many requests wait for an answer (broadcast_requests, track_requests or group_requests): ask again later",
            ),
        }
    }
}

pub(crate) struct Queue<K, V, S = ()> {
    entries: Map<K, Entry<V>>,
    /// Keys of the entries not yet taken, by the id of the entry: oldest first.
    waiting: Map<u64, K>,
    handlers: Map<u64, S>,
    /// Ids of entries and handlers; never reused, so that a late answer cannot hit a newer entry of the same key.
    next: u64,
    limit: usize,
}

struct Entry<V> {
    id: u64,
    value: V,
}

impl<K: Ord + Clone, V, S: Covers<K>> Queue<K, V, S> {
    /// An empty queue for `limit` waiting entries and as many in service.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            entries: Map::new(),
            waiting: Map::new(),
            handlers: Map::new(),
            next: 0,
            limit,
        }
    }

    fn mint(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Registers a handler; its id takes requests and withdraws it.
    pub(crate) fn add_handler(&mut self, scope: S) -> u64 {
        let id = self.mint();
        self.handlers.insert(id, scope);
        id
    }

    /// Withdraws a handler, and every waiting entry that none of the others takes. Entries in service stay with their holder.
    pub(crate) fn remove_handler(&mut self, id: u64) -> Vec<V> {
        self.handlers.remove(&id);
        let orphans: Vec<(u64, K)> = self
            .waiting
            .iter()
            .filter(|(_, key)| !self.handled(key))
            .map(|(id, key)| (*id, key.clone()))
            .collect();
        orphans
            .into_iter()
            .filter_map(|(id, key)| self.remove(&key, id))
            .collect()
    }

    /// How many entries nobody has taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many handlers there are.
    pub(crate) fn handlers(&self) -> usize {
        self.handlers.len()
    }

    /// Whether anybody takes requests for `key`.
    pub(crate) fn handled(&self, key: &K) -> bool {
        self.handlers.values().any(|scope| scope.covers(key))
    }

    /// The entry of `key`, and whether it is in service.
    pub(crate) fn get(&self, key: &K) -> Option<(&V, bool)> {
        let entry = self.entries.get(key)?;
        Some((&entry.value, !self.waiting.contains_key(&entry.id)))
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        Some(&mut self.entries.get_mut(key)?.value)
    }

    /// The entry of `key` if it is still the one called `id`.
    pub(crate) fn find(&self, key: &K, id: u64) -> Option<&V> {
        self.entries
            .get(key)
            .filter(|entry| entry.id == id)
            .map(|entry| &entry.value)
    }

    /// Queues a new entry. One in service under the same key is superseded: its holder may still answer those who joined it.
    pub(crate) fn insert(&mut self, key: K, value: V) -> std::result::Result<u64, Refused> {
        if !self.handled(&key) {
            return Err(Refused::NoHandler);
        }
        let full =
            self.waiting.len() >= self.limit || self.entries.len() >= self.limit.saturating_mul(2);
        if full && !kio::fault::mutant("unbounded") {
            return Err(Refused::Full);
        }
        let id = self.mint();
        if let Some(old) = self.entries.insert(key.clone(), Entry { id, value }) {
            self.waiting.remove(&old.id);
        }
        self.waiting.insert(id, key);
        Ok(id)
    }

    /// The oldest waiting entry that `handler` takes and somebody still wants.
    pub(crate) fn peek(&self, handler: u64, wanted: impl Fn(&V) -> bool) -> Option<(u64, &K)> {
        let scope = self.handlers.get(&handler)?;
        self.waiting
            .iter()
            .find(|(_, key)| {
                scope.covers(key)
                    && self
                        .entries
                        .get(key)
                        .is_some_and(|entry| wanted(&entry.value))
            })
            .map(|(id, key)| (*id, key))
    }

    /// Takes that entry into service: it stays joinable until it is removed.
    pub(crate) fn pop(
        &mut self,
        handler: u64,
        wanted: impl Fn(&V) -> bool,
    ) -> Option<(u64, K, &mut V)> {
        let (id, key) = self.peek(handler, wanted)?;
        let key = key.clone();
        self.waiting.remove(&id);
        let entry = self.entries.get_mut(&key)?;
        Some((id, key, &mut entry.value))
    }

    /// Drops waiting entries nobody wants any more, so that they do not fill the queue.
    pub(crate) fn prune(&mut self, wanted: impl Fn(&V) -> bool) {
        let entries = &mut self.entries;
        self.waiting.retain(|id, key| {
            let keep = entries
                .get(key)
                .is_some_and(|entry| entry.id == *id && wanted(&entry.value));
            if !keep {
                entries.remove(key);
            }
            keep
        });
    }

    /// Removes the entry of `key` if it is still the one called `id`.
    pub(crate) fn remove(&mut self, key: &K, id: u64) -> Option<V> {
        if self.entries.get(key)?.id != id {
            return None;
        }
        self.fulfil(key)
    }

    /// Removes whatever entry `key` has: it was answered from elsewhere.
    pub(crate) fn fulfil(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.waiting.remove(&entry.id);
        Some(entry.value)
    }

    /// Removes every entry from `key` on, in service or not.
    pub(crate) fn drain_from(&mut self, key: &K) -> Vec<V> {
        let drained = self.entries.drain_from(key);
        drained
            .into_iter()
            .map(|entry| {
                self.waiting.remove(&entry.id);
                entry.value
            })
            .collect()
    }

    /// Removes every entry, in service or not.
    pub(crate) fn drain(&mut self) -> Vec<V> {
        self.waiting = Map::new();
        std::mem::take(&mut self.entries)
            .into_values()
            .map(|entry| entry.value)
            .collect()
    }
}

/// The answering side of a one-shot result that many may wait for. The value beats the end of the channel, so an answer needs no
/// race handling; dropping every ticket unanswered is an answer too.
pub(crate) struct Ticket<T>(kio::Producer<Option<Result<T>>>);

impl<T: Clone> Ticket<T> {
    pub(crate) fn new() -> Self {
        Self(kio::Producer::new(None))
    }

    /// Somebody else who waits for the answer.
    pub(crate) fn join(&self) -> Answer<T> {
        Answer(self.0.consume())
    }

    /// Whether anybody waits.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.is_used()
    }

    /// Ready once nobody waits any more.
    pub(crate) fn poll_unwanted(&self, waiter: &Waiter) -> Poll<()> {
        self.0.poll_unused(waiter).map(|_| ())
    }

    /// Answers; only the first answer counts. Wakes, so no lock may be held.
    pub(crate) fn resolve(&self, result: Result<T>) {
        if let Ok(mut slot) = self.0.write()
            && slot.is_none()
        {
            *slot = Some(result);
        }
    }
}

impl<T> Clone for Ticket<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// The waiting side of a [`Ticket`].
pub(crate) struct Answer<T>(kio::Consumer<Option<Result<T>>>);

impl<T: Clone> Answer<T> {
    /// The answer, or `dropped` if none can come any more.
    pub(crate) fn poll(&self, waiter: &Waiter, dropped: Error) -> Poll<Result<T>> {
        self.0
            .poll(waiter, |slot| match &**slot {
                Some(result) => Poll::Ready(result.clone()),
                None => Poll::Pending,
            })
            .map(|result| match result {
                Ok(answer) => answer,
                Err(_closed) => Err(dropped),
            })
    }
}
