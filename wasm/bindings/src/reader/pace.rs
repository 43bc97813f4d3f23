//! How often a reader with much to deliver may wake the page.

use std::time::Duration;

use moq_net::Instant;

/// The time between two batches of one reader in the long run. Waking a page that sleeps costs it about 0.1 ms whatever
/// the message holds: 400 messages a second are 40 ms, a thousand would be a tenth of its time.
const INTERVAL: Duration = Duration::from_micros(2_500);

/// Batches that may follow each other at once: slower tracks, and the start of a group, never wait.
const BURST: u32 = 4;

/// Lets batches through: at once while they are few, evenly spaced when they would be many.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the allowance is full again. Each batch moves it on by one interval.
    full: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { full: now }
    }

    /// The time from which the next batch may go out.
    pub(super) fn next(&self) -> Instant {
        self.full - INTERVAL * (BURST - 1)
    }

    /// A batch goes out. One that could not wait makes the next wait no longer than one interval.
    pub(super) fn spend(&mut self, now: Instant) {
        self.full = (self.full.max(now) + INTERVAL).min(now + INTERVAL * BURST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::default() + Duration::from_secs(1) + Duration::from_micros(micros)
    }

    /// How many batches go out in that time when there is one to send at each step.
    fn sent(step: u64, until: u64) -> u32 {
        let mut pace = Pace::new(at(0));
        let mut count = 0;
        for micros in (0..until).step_by(usize::try_from(step).expect("small")) {
            if at(micros) >= pace.next() {
                pace.spend(at(micros));
                count += 1;
            }
        }
        count
    }

    #[test]
    fn a_slow_track_never_waits() {
        assert_eq!(sent(33_000, 3_300_000), 100);
        assert_eq!(sent(3_000, 300_000), 100);
    }

    #[test]
    fn a_fast_track_is_spaced_after_a_first_burst() {
        assert_eq!(sent(1_000, 4_000), BURST);
        let second = sent(100, 1_000_000);
        assert!((400..=400 + BURST).contains(&second), "{second} batches");
    }

    #[test]
    fn batches_that_could_not_wait_leave_no_debt() {
        let mut pace = Pace::new(at(0));
        for _ in 0..1_000 {
            pace.spend(at(0));
        }
        assert_eq!(pace.next(), at(0) + INTERVAL);
    }

    #[test]
    fn a_pause_allows_one_burst_and_no_more() {
        let mut pace = Pace::new(at(0));
        for _ in 0..BURST {
            assert!(at(0) >= pace.next());
            pace.spend(at(0));
        }
        assert!(at(0) < pace.next());
        let later = at(10_000_000);
        for _ in 0..BURST {
            assert!(later >= pace.next());
            pace.spend(later);
        }
        assert!(later < pace.next());
    }
}
