//! The groups a track holds, by arrival and by sequence.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{Instant, map::Map, model::group};

/// One held group.
#[derive(Clone)]
pub(crate) struct Cached {
    pub(crate) group: Arc<group::Shared>,
    /// When it was put in.
    pub(crate) inserted: Instant,
    /// Part of the live track. A group that was only fetched is not, and cursors do not deliver it.
    pub(crate) live: bool,
}

/// The cache of a track. Arrival numbers only grow, so a cursor is simply the next one to look at, whatever has gone before it.
#[derive(Default)]
pub(crate) struct Cache {
    arrivals: Map<u64, Cached>,
    /// Sequence to arrival number; the same groups.
    index: BTreeMap<u64, u64>,
    next: u64,
}

impl Cache {
    pub(crate) fn insert(&mut self, cached: Cached) -> u64 {
        let arrival = self.next;
        self.next += 1;
        self.index.insert(cached.group.sequence, arrival);
        self.arrivals.insert(arrival, cached);
        arrival
    }

    pub(crate) fn remove(&mut self, sequence: u64) -> Option<Cached> {
        let arrival = self.index.remove(&sequence)?;
        self.arrivals.remove(&arrival)
    }

    pub(crate) fn get(&self, sequence: u64) -> Option<&Cached> {
        self.arrivals.get(self.index.get(&sequence)?)
    }

    /// Whether the group of this arrival number is still held.
    pub(crate) fn holds(&self, arrival: u64) -> bool {
        self.arrivals.contains_key(&arrival)
    }

    pub(crate) fn at(&self, arrival: u64) -> Option<&Cached> {
        self.arrivals.get(&arrival)
    }

    /// The arrival number the next group will get.
    pub(crate) const fn next_arrival(&self) -> u64 {
        self.next
    }

    pub(crate) fn len(&self) -> usize {
        self.arrivals.len()
    }

    /// The live groups from an arrival number on, in order of arrival.
    pub(crate) fn since(&self, arrival: u64) -> impl Iterator<Item = (u64, &Cached)> {
        self.arrivals
            .range(arrival..)
            .map(|(at, cached)| (*at, cached))
            .filter(|(_, cached)| cached.live)
    }

    /// The live groups from a sequence on, in order of sequence.
    pub(crate) fn upward(&self, sequence: u64) -> impl Iterator<Item = &Cached> {
        self.all_upward(sequence).filter(|cached| cached.live)
    }

    /// All groups from a sequence on, live or fetched, in order of sequence.
    pub(crate) fn all_upward(&self, sequence: u64) -> impl Iterator<Item = &Cached> {
        self.index
            .range(sequence..)
            .filter_map(|(_, arrival)| self.arrivals.get(arrival))
    }

    /// Removes groups older than `age`, oldest first, up to the first young one; `exempt` stays.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        age: Duration,
        exempt: Option<u64>,
    ) -> Vec<Cached> {
        let expired: Vec<u64> = self
            .arrivals
            .values()
            .filter(|cached| Some(cached.group.sequence) != exempt)
            .take_while(|cached| now.duration_since(cached.inserted) > age)
            .map(|cached| cached.group.sequence)
            .collect();
        expired
            .into_iter()
            .filter_map(|sequence| self.remove(sequence))
            .collect()
    }

    /// Empties the cache.
    pub(crate) fn clear(&mut self) -> Map<u64, Cached> {
        self.index.clear();
        std::mem::take(&mut self.arrivals)
    }
}
