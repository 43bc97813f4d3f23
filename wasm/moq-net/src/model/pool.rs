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
    /// Bytes that readers have pinned, about.
    pinned: AtomicUsize,
    evicted: AtomicU64,
    lru: Mutex<Lru>,
}

/// Groups by last use, oldest first. A group is in at most one of the three maps, under the key its seat holds.
#[derive(Default)]
struct Lru {
    clock: u64,
    /// Groups that a newer one of their track has replaced: the first to go.
    idle: Map<u64, Weak<group::Shared>>,
    /// The newest group of each track: only when the others are all gone.
    latest: Map<u64, Weak<group::Shared>>,
    /// Groups that are not given up.
    pinned: Map<u64, Pinned>,
}

struct Pinned {
    group: Weak<group::Shared>,
    /// Where it goes when it is let go.
    latest: bool,
    pins: usize,
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
                None => self
                    .latest
                    .remove(&key)
                    .map(|group| (group, true))
                    .or_else(|| self.pinned.remove(&key).map(|it| (it.group, it.latest))),
            },
        }
    }

    fn next_key(&mut self, seat: &Seat) -> u64 {
        self.clock += 1;
        seat.key.store(self.clock, Ordering::Relaxed);
        self.clock
    }

    fn pinned(&mut self, seat: &Seat) -> Option<&mut Pinned> {
        self.pinned.get_mut(&seat.key.load(Ordering::Relaxed))
    }

    fn enter(&mut self, seat: &Seat, group: Weak<group::Shared>, latest: bool) {
        let key = self.next_key(seat);
        let map = match latest {
            true => &mut self.latest,
            false => &mut self.idle,
        };
        map.insert(key, group);
    }

    fn pin(&mut self, seat: &Seat) {
        if let Some(pinned) = self.pinned(seat) {
            pinned.pins += 1;
        } else if let Some((group, latest)) = self.leave(seat) {
            let key = self.next_key(seat);
            self.pinned.insert(
                key,
                Pinned {
                    group,
                    latest,
                    pins: 1,
                },
            );
        }
    }

    fn unpin(&mut self, seat: &Seat) {
        let Some(pinned) = self.pinned(seat) else {
            return;
        };
        pinned.pins -= 1;
        if pinned.pins == 0
            && let Some((group, latest)) = self.leave(seat)
        {
            self.enter(seat, group, latest);
        }
    }
}

impl Pool {
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            budget,
            used: AtomicUsize::new(0),
            pinned: AtomicUsize::new(0),
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
        if lru.pinned(group.seat()).is_none()
            && let Some((member, latest)) = lru.leave(group.seat())
        {
            lru.enter(group.seat(), member, latest);
        }
    }

    /// A newer group has arrived on its track.
    pub(crate) fn demote(&self, group: &group::Shared) {
        let mut lru = self.lru();
        if let Some(pinned) = lru.pinned(group.seat()) {
            pinned.latest = false;
        } else if let Some((member, _)) = lru.leave(group.seat()) {
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

    /// Whether readers have pinned as much as they may together: half of the budget, so that the rest still has a cache.
    pub(crate) fn is_pinned_full(&self) -> bool {
        self.pinned.load(Ordering::Relaxed) > self.budget / 2
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

/// A group that the cache does not give up as long as this lives.
pub(crate) struct Pin {
    group: Arc<group::Shared>,
    bytes: usize,
}

impl Pin {
    /// The locks of track and group may be held.
    pub(crate) fn new(group: &Arc<group::Shared>) -> Self {
        group.runtime().pool().lru().pin(group.seat());
        Self {
            group: group.clone(),
            bytes: 0,
        }
    }

    pub(crate) const fn group(&self) -> &Arc<group::Shared> {
        &self.group
    }

    /// Bytes it was when it was weighed last.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes note of how large the group is now; whether it may still grow.
    pub(crate) fn weigh(&mut self) -> bool {
        let (bytes, grows) = self.group.weigh();
        let pinned = &self.group.runtime().pool().pinned;
        pinned.fetch_add(bytes, Ordering::Relaxed);
        pinned.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
        grows
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let pool = self.group.runtime().pool();
        pool.pinned.fetch_sub(self.bytes, Ordering::Relaxed);
        pool.lru().unpin(self.group.seat());
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

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
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
    fn a_pinned_group_is_given_up_only_once_nobody_pins_it() {
        let limits = Limits {
            cache_bytes: 4_000,
            ..Limits::default()
        };
        let runtime = Runtime::new(TestHost::default(), limits);
        let track = TrackProducer::new("video", None, &runtime);
        let write = || {
            track.write_frame(vec![0; 1_000]).unwrap();
        };
        let pins = [(); 2].map(|()| {
            let state = track.shared().channel.read();
            let group = state.cache.get(0).map(|cached| cached.group.clone());
            drop(state);
            let group = group.unwrap_or_else(|| {
                write();
                let state = track.shared().channel.read();
                state.cache.get(0).unwrap().group.clone()
            });
            let mut pin = Pin::new(&group);
            assert!(!pin.weigh());
            pin
        });
        assert!(runtime.pool().is_pinned_full());
        let held = |sequence| track.shared().channel.read().cache.get(sequence).is_some();
        (0..9).for_each(|_| write());
        assert_eq!(
            (held(0), held(1)),
            (true, false),
            "the next one goes instead"
        );
        let [one, other] = pins;
        drop(one);
        (0..9).for_each(|_| write());
        assert!(held(0), "the other reader still wants it");
        drop(other);
        assert!(!runtime.pool().is_pinned_full());
        (0..9).for_each(|_| write());
        assert!(!held(0));
    }

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
