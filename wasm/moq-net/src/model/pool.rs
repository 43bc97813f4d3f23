//! One byte budget for every cached group of the process, with the least recently used given up first.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use super::group;
use crate::{Runtime, map::Map};

/// The cache accounting of one runtime.
pub(crate) struct Pool {
    budget: usize,
    used: AtomicUsize,
    evicted: AtomicU64,
    lru: Mutex<Lru>,
}

/// Groups by last use, oldest first. A group is in at most one of the two maps, under the key its seat holds.
#[derive(Default)]
struct Lru {
    clock: u64,
    /// Groups that a newer one of their track has replaced: the first to go.
    idle: Map<u64, Weak<group::Shared>>,
    /// The newest group of each track: only when the others are all gone.
    latest: Map<u64, Weak<group::Shared>>,
}

/// A group's place in the order of use. Changed only under the lock of the pool.
#[derive(Default)]
pub(crate) struct Seat {
    /// Zero while the group is not in the pool.
    key: AtomicU64,
}

impl Lru {
    fn leave(&mut self, seat: &Seat) -> Option<(Weak<group::Shared>, bool)> {
        match seat.key.swap(0, Ordering::Relaxed) {
            0 => None,
            key => match self.idle.remove(&key) {
                Some(group) => Some((group, false)),
                None => self.latest.remove(&key).map(|group| (group, true)),
            },
        }
    }

    fn enter(&mut self, seat: &Seat, group: Weak<group::Shared>, latest: bool) {
        self.clock += 1;
        seat.key.store(self.clock, Ordering::Relaxed);
        let map = match latest {
            true => &mut self.latest,
            false => &mut self.idle,
        };
        map.insert(self.clock, group);
    }
}

impl Pool {
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            budget,
            used: AtomicUsize::new(0),
            evicted: AtomicU64::new(0),
            lru: Mutex::default(),
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    fn lru(&self) -> MutexGuard<'_, Lru> {
        self.lru.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a new group in, as the most recently used.
    pub(crate) fn enter(&self, group: &Arc<group::Shared>, latest: bool) {
        let mut lru = self.lru();
        lru.leave(group.seat());
        lru.enter(group.seat(), Arc::downgrade(group), latest);
    }

    /// Somebody asked for the group.
    pub(crate) fn touch(&self, group: &group::Shared) {
        let mut lru = self.lru();
        if let Some((member, latest)) = lru.leave(group.seat()) {
            lru.enter(group.seat(), member, latest);
        }
    }

    /// A newer group has arrived on its track.
    pub(crate) fn demote(&self, group: &group::Shared) {
        let mut lru = self.lru();
        if let Some((member, _)) = lru.leave(group.seat()) {
            lru.enter(group.seat(), member, false);
        }
    }

    /// The group is gone.
    pub(crate) fn leave(&self, seat: &Seat) {
        // A seat that was given up already (or never taken) needs no lock.
        if seat.key.load(Ordering::Relaxed) != 0 {
            self.lru().leave(seat);
        }
    }

    /// Gives groups up until the budget holds. Call it after adding, with no lock held: it locks groups and wakes readers.
    pub(crate) fn enforce(&self) {
        while self.used() > self.budget {
            let (member, latest) = {
                let mut lru = self.lru();
                let (key, member, latest) = match lru.idle.pop_first() {
                    Some((key, member)) => (key, member, false),
                    None => match lru.latest.pop_first() {
                        Some((key, member)) => (key, member, true),
                        // What is left is held by readers only.
                        None => return,
                    },
                };
                let member = member.upgrade();
                if let Some(group) = &member {
                    // Nobody else may have moved it: the key changes only under this lock.
                    debug_assert_eq!(group.seat().key.load(Ordering::Relaxed), key);
                    group.seat().key.store(0, Ordering::Relaxed);
                }
                (member, latest)
            };
            let Some(group) = member else { continue };
            let excess = self.used().saturating_sub(self.budget);
            // A latest group keeps its newest frame as long as there is anything else to give.
            if latest && group.trim(excess) {
                self.lru()
                    .enter(group.seat(), Arc::downgrade(&group), latest);
            } else {
                group.evict();
                self.evicted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Bytes charged to the pool for as long as it lives.
pub(crate) struct Charge {
    runtime: Runtime,
    bytes: usize,
}

impl Charge {
    pub(crate) fn new(runtime: &Runtime, bytes: usize) -> Self {
        let mut charge = Self {
            runtime: runtime.clone(),
            bytes: 0,
        };
        charge.add(bytes);
        charge
    }

    pub(crate) const fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.runtime.pool().used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn remove(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.bytes, "released more than was charged");
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.runtime.pool().used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Charge {
    /// Releases everything.
    pub(crate) fn clear(&mut self) {
        self.remove(self.bytes);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, model::track::TrackProducer, test_host::TestHost};

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn groups_that_are_gone_leave_no_seat_behind() {
        let runtime = Runtime::new(TestHost::default(), Limits::default());
        let seats = || {
            let lru = runtime.pool().lru();
            (lru.idle.len(), lru.latest.len())
        };
        let track = TrackProducer::new("video", None, &runtime);
        for _ in 0..3 {
            track.write_frame("x").unwrap();
        }
        assert_eq!(seats(), (2, 1));
        drop(track);
        assert_eq!(seats(), (0, 0));
    }
}
