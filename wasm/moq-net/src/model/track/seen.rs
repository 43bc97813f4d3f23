//! Sets of sequences: what a cursor has delivered, what has come, what never will.

use std::collections::BTreeMap;

/// A set of sequence numbers as ranges: live tracks count up, so it is one range most of the time.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// First to last (inclusive); neither overlapping nor adjacent.
    ranges: BTreeMap<u64, u64>,
    /// Of the sequences below, some were forgotten.
    forgotten: u64,
}

/// A peer chooses the sequences: beyond this many gaps the lowest ranges are forgotten, and a group of theirs that is evicted and
/// sent again would be delivered again.
const RANGES: usize = 1024;

impl Seen {
    /// Adds `sequence`; false if it was there.
    pub(crate) fn insert(&mut self, sequence: u64) -> bool {
        let new = !self.contains(sequence);
        if new {
            self.insert_range(sequence, sequence);
        }
        new
    }

    /// Adds everything from `first` to `last`, inclusive.
    pub(crate) fn insert_range(&mut self, mut first: u64, mut last: u64) {
        // What overlaps or touches becomes one range with it.
        while let Some((start, end)) = self.last_before(last.saturating_add(1))
            && end.saturating_add(1) >= first
        {
            self.ranges.remove(&start);
            first = first.min(start);
            last = last.max(end);
        }
        self.ranges.insert(first, last);
        if self.ranges.len() > RANGES
            && let Some((_, last)) = self.ranges.pop_first()
        {
            self.forgotten = last.saturating_add(1);
        }
    }

    /// The lowest sequence from `from` on that is not in it, nor perhaps was.
    pub(crate) fn first_absent(&self, from: u64) -> Option<u64> {
        let from = from.max(self.forgotten);
        match self.run(from) {
            Some(last) => last.checked_add(1),
            None => Some(from),
        }
    }

    /// The last range that begins at or below `sequence`.
    fn last_before(&self, sequence: u64) -> Option<(u64, u64)> {
        let below = self.ranges.range(..=sequence).next_back();
        below.map(|(first, last)| (*first, *last))
    }

    pub(crate) fn contains(&self, sequence: u64) -> bool {
        self.run(sequence).is_some()
    }

    /// The last of the sequences that follow on `sequence` without a gap; `None` when it is not there itself.
    pub(crate) fn run(&self, sequence: u64) -> Option<u64> {
        self.last_before(sequence)
            .and_then(|(_, last)| (last >= sequence).then_some(last))
    }

    /// The lowest from `sequence` on.
    pub(crate) fn lowest(&self, sequence: u64) -> Option<u64> {
        if self.contains(sequence) {
            return Some(sequence);
        }
        self.ranges
            .range(sequence..)
            .next()
            .map(|(first, _)| *first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn agrees_with_a_plain_set() {
        let mut seen = Seen::default();
        let mut plain = BTreeSet::new();
        let mut state = 7u64;
        let mut random = |below: u64| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 40) % below
        };
        for round in 0..2000 {
            let sequence = random(600);
            if round % 20 == 0 {
                let last = sequence + random(5);
                seen.insert_range(sequence, last);
                plain.extend(sequence..=last);
            } else {
                assert_eq!(seen.insert(sequence), plain.insert(sequence));
            }
            for probe in 0..610 {
                assert_eq!(seen.contains(probe), plain.contains(&probe));
                assert_eq!(seen.lowest(probe), plain.range(probe..).next().copied());
                let run = (probe..).take_while(|next| plain.contains(next)).last();
                assert_eq!(seen.run(probe), run);
            }
        }
    }

    #[test]
    fn ranges_become_one_up_to_the_largest_sequence() {
        let mut seen = Seen::default();
        for sequence in [3, 5, u64::MAX] {
            seen.insert(sequence);
        }
        seen.insert_range(4, u64::MAX - 1);
        assert_eq!(seen.ranges, BTreeMap::from([(3, u64::MAX)]));
        seen.insert_range(0, u64::MAX);
        assert_eq!(seen.run(0), Some(u64::MAX));
    }

    #[test]
    fn counting_up_is_one_range() {
        let mut seen = Seen::default();
        for sequence in 0..10_000 {
            assert!(seen.insert(sequence));
        }
        assert_eq!(seen.ranges.len(), 1);
        assert!(seen.insert(u64::MAX));
        assert!(!seen.insert(u64::MAX));
    }

    #[test]
    fn gaps_are_bounded() {
        let mut seen = Seen::default();
        for step in 0..5000 {
            seen.insert(step * 2);
        }
        assert_eq!(seen.ranges.len(), RANGES);
        assert!(seen.contains(9998));
        assert_eq!(seen.first_absent(0), Some(2 * (5000 - RANGES as u64) - 1));
        assert_eq!(seen.first_absent(9998), Some(9999));
    }
}
