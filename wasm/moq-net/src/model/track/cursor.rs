//! How live readers walk through a track.

use std::{collections::BTreeMap, sync::Arc, task::Poll};

use super::{seen::Seen, state::State};
use crate::{Result, model::group};

/// The local filters of a subscriber.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) start: u64,
    /// Inclusive.
    pub(crate) end: Option<u64>,
}

impl Bounds {
    pub(crate) fn contains(&self, sequence: u64) -> bool {
        sequence >= self.start && !self.caps(sequence)
    }

    fn caps(&self, sequence: u64) -> bool {
        self.end.is_some_and(|end| sequence > end)
    }
}

/// A cursor in order of arrival.
#[derive(Clone, Default)]
pub(crate) struct Arrivals {
    next: u64,
    seen: Seen,
    /// Groups above the cap when the cursor passed them, sequence to arrival number.
    parked: BTreeMap<u64, u64>,
}

impl Arrivals {
    fn deliver(&mut self, group: &Arc<group::Shared>) -> Poll<Result<Option<Arc<group::Shared>>>> {
        if !kio::fault::mutant("deliver-twice") {
            self.seen.insert(group.sequence);
        }
        Poll::Ready(Ok(Some(group.clone())))
    }
}

impl State {
    /// The next live group in order of arrival.
    pub(crate) fn poll_arrival(
        &self,
        cursor: &mut Arrivals,
        bounds: Bounds,
    ) -> Poll<Result<Option<Arc<group::Shared>>>> {
        if let Some(error) = &self.abort {
            return Poll::Ready(Err(error.clone()));
        }
        if let Some(group) = self.unpark(cursor, bounds) {
            return cursor.deliver(&group);
        }
        let mut next = cursor.next;
        let mut found = None;
        for (arrival, cached) in self.cache.since(cursor.next) {
            next = arrival + 1;
            if kio::fault::mutant("deliver-twice") && kio::fault::delay(4) {
                next = arrival;
            }
            let sequence = cached.group.sequence;
            if sequence < bounds.start || cursor.seen.contains(sequence) {
                continue;
            }
            if bounds.caps(sequence) {
                cursor.parked.insert(sequence, arrival);
                continue;
            }
            found = Some(&cached.group);
            break;
        }
        cursor.next = next;
        if let Some(group) = found {
            return cursor.deliver(group);
        }
        match self.boundary {
            Some(_)
                if !cursor
                    .parked
                    .values()
                    .any(|arrival| self.cache.holds(*arrival)) =>
            {
                Poll::Ready(Ok(None))
            }
            _ => Poll::Pending,
        }
    }

    /// The live group with the lowest sequence among those that were not delivered. The same cursor may change between this and
    /// the order of arrival.
    pub(crate) fn poll_lowest(
        &self,
        cursor: &mut Arrivals,
        bounds: Bounds,
    ) -> Poll<Result<Option<Arc<group::Shared>>>> {
        if let Some(error) = &self.abort {
            return Poll::Ready(Err(error.clone()));
        }
        let mut from = Some(bounds.start);
        let next = loop {
            let Some(absent) = from.and_then(|from| cursor.seen.first_absent(from)) else {
                break None;
            };
            match self.cache.upward(absent).next() {
                Some(cached) if cursor.seen.contains(cached.group.sequence) => {
                    from = cached.group.sequence.checked_add(1);
                }
                cached => break cached,
            }
        };
        match next {
            // Those above the cap wait for it to be raised.
            Some(cached) if bounds.caps(cached.group.sequence) => Poll::Pending,
            Some(cached) => cursor.deliver(&cached.group),
            None if self.boundary.is_some() => Poll::Ready(Ok(None)),
            None => Poll::Pending,
        }
    }

    /// A parked group that the cap now lets through, the one that arrived first.
    fn unpark(&self, cursor: &mut Arrivals, bounds: Bounds) -> Option<Arc<group::Shared>> {
        // Parked groups may have expired: keep at most a few more than there are.
        if cursor.parked.len() > self.cache.len() {
            cursor
                .parked
                .retain(|_, arrival| self.cache.holds(*arrival));
        }
        loop {
            let released = match bounds.end {
                Some(end) => cursor.parked.range(..=end),
                None => cursor.parked.range(..),
            };
            let (sequence, arrival) = released
                .map(|(sequence, arrival)| (*sequence, *arrival))
                .min_by_key(|(_, arrival)| *arrival)?;
            cursor.parked.remove(&sequence);
            if let Some(cached) = self.cache.at(arrival)
                && sequence >= bounds.start
                && !cursor.seen.contains(sequence)
            {
                return Some(cached.group.clone());
            }
        }
    }

    /// The next datagram in order of arrival. `skip` says how many of those that wait are not worth delivering any more.
    pub(crate) fn poll_datagram(
        &self,
        next: &mut u64,
        bounds: Bounds,
        skip: impl FnOnce(&[(u64, &Arc<group::Shared>)]) -> usize,
    ) -> Poll<Result<Option<Arc<group::Shared>>>> {
        if let Some(error) = &self.abort {
            return Poll::Ready(Err(error.clone()));
        }
        let waiting: Vec<(u64, &Arc<group::Shared>)> = self
            .cache
            .since(*next)
            .filter(|(_, cached)| cached.group.datagram && bounds.contains(cached.group.sequence))
            .map(|(arrival, cached)| (arrival, &cached.group))
            .collect();
        if let Some((arrival, group)) = waiting.get(skip(&waiting)) {
            *next = arrival + 1;
            return Poll::Ready(Ok(Some((*group).clone())));
        }
        *next = self.cache.next_arrival();
        match self.boundary {
            Some(_) => Poll::Ready(Ok(None)),
            None => Poll::Pending,
        }
    }

    /// The live group with the smallest sequence from `floor` on; without a floor the largest sequence there is was taken.
    pub(crate) fn poll_next(
        &self,
        floor: Option<u64>,
        bounds: Bounds,
    ) -> Poll<Result<Option<Arc<group::Shared>>>> {
        if let Some(error) = &self.abort {
            return Poll::Ready(Err(error.clone()));
        }
        let Some(floor) = floor.map(|floor| floor.max(bounds.start)) else {
            return match self.boundary {
                Some(_) => Poll::Ready(Ok(None)),
                None => Poll::Pending,
            };
        };
        if let Some(cached) = self.cache.upward(floor).next() {
            return match bounds.caps(cached.group.sequence) {
                true => Poll::Pending,
                false => Poll::Ready(Ok(Some(cached.group.clone()))),
            };
        }
        match self.boundary {
            // Without writers the gaps stay gaps.
            Some(boundary) if floor >= boundary || self.orphaned || self.settled => {
                Poll::Ready(Ok(None))
            }
            _ => Poll::Pending,
        }
    }

    /// The live groups that `read_frame` may take its next frame from, in order of sequence, up to the first that has it.
    pub(crate) fn readable(&self, floor: Option<u64>, bounds: Bounds) -> Vec<Arc<group::Shared>> {
        let mut readable = Vec::new();
        let Some(floor) = floor else {
            return readable;
        };
        for cached in self.cache.upward(floor.max(bounds.start)) {
            if bounds.caps(cached.group.sequence) {
                break;
            }
            readable.push(cached.group.clone());
            if cached.group.has_whole_frame() {
                break;
            }
        }
        readable
    }

    /// Whether a live group above the cap waits for it to be raised.
    pub(crate) fn has_capped(&self, floor: Option<u64>, bounds: Bounds) -> bool {
        match (floor, bounds.end.and_then(|end| end.checked_add(1))) {
            (Some(floor), Some(above)) => self
                .cache
                .upward(floor.max(bounds.start).max(above))
                .next()
                .is_some(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Limits, Runtime,
        model::track::{TrackInfo, TrackProducer},
        test_host::TestHost,
    };

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn parked_groups_that_expired_are_forgotten() {
        let host = TestHost::default();
        let runtime = Runtime::new(host.clone(), Limits::default());
        let track = TrackProducer::new("video", TrackInfo::default(), &runtime);
        let capped = Bounds {
            start: 0,
            end: Some(0),
        };
        let mut cursor = Arrivals::default();
        for second in 0..1000 {
            host.set(second);
            let _groups = [(); 3].map(|()| track.append_group().unwrap());
            let state = track.shared().channel.read();
            let _delivered = state.poll_arrival(&mut cursor, capped);
            let (parked, held) = (cursor.parked.len(), state.cache.len());
            assert!(parked <= held + 3, "{second}: {parked} of {held}");
        }
    }
}
