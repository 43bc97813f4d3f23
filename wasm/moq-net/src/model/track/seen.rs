//! Which sequences a cursor has delivered.

use std::collections::BTreeMap;

/// A set of sequence numbers as ranges: live tracks count up, so it is one range most of the time.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// First to last (inclusive); neither overlapping nor adjacent.
    ranges: BTreeMap<u64, u64>,
}

/// A peer chooses the sequences: beyond this many gaps the lowest ranges are forgotten, and a group of theirs that is evicted and
/// sent again would be delivered again.
const RANGES: usize = 1024;

impl Seen {
    /// Adds `sequence`; false if it was there.
    pub(crate) fn insert(&mut self, sequence: u64) -> bool {
        let below = self
            .ranges
            .range(..=sequence)
            .next_back()
            .map(|(first, last)| (*first, *last));
        let mut first = sequence;
        if let Some((start, last)) = below {
            if last >= sequence {
                return false;
            }
            if last + 1 == sequence {
                first = start;
            }
        }
        let above = sequence
            .checked_add(1)
            .and_then(|next| self.ranges.remove(&next));
        self.ranges.insert(first, above.unwrap_or(sequence));
        if self.ranges.len() > RANGES {
            self.ranges.pop_first();
        }
        true
    }

    pub(crate) fn contains(&self, sequence: u64) -> bool {
        self.ranges
            .range(..=sequence)
            .next_back()
            .is_some_and(|(_, last)| *last >= sequence)
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
        for _ in 0..2000 {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let sequence = (state >> 40) % 300;
            assert_eq!(seen.insert(sequence), plain.insert(sequence));
            for probe in 0..300 {
                assert_eq!(seen.contains(probe), plain.contains(&probe));
            }
        }
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
    }
}
