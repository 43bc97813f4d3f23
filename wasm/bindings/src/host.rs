//! The world the core lives in here: the worker's clock and the browser's randomness.

use std::sync::{Mutex, PoisonError};

use moq_net::{Host, Instant, Sleep};

use crate::timer::Timers;

/// Time as told by the worker, randomness grown from a seed it took from the browser.
pub(crate) struct WorkerHost {
    timers: Timers,
    random: Mutex<[u64; 4]>,
}

impl WorkerHost {
    /// `seed` must come from a source nobody can guess, and not be all zero.
    pub(crate) fn new(timers: Timers, seed: [u64; 4]) -> Self {
        Self {
            timers,
            random: Mutex::new(seed),
        }
    }
}

impl Host for WorkerHost {
    fn now(&self) -> Instant {
        Instant::from_epoch(self.timers.now())
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        Box::pin(self.timers.sleep_until(deadline.since_epoch()))
    }

    /// xoshiro256++ (Blackman and Vigna): ids and jitter need to be unlikely to collide, not secret.
    fn random(&self) -> u64 {
        let mut state = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let [a, b, c, d] = *state;
        let (mixed_c, mixed_d) = (c ^ a, d ^ b);
        *state = [
            a ^ mixed_d,
            b ^ mixed_c,
            mixed_c ^ (b << 17),
            mixed_d.rotate_left(45),
        ];
        a.wrapping_add(d).rotate_left(23).wrapping_add(a)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_clock_is_the_workers() {
        let timers = Timers::default();
        let host = WorkerHost::new(timers.clone(), [1; 4]);
        timers.advance(Duration::from_millis(7));
        assert_eq!(host.now().since_epoch(), Duration::from_millis(7));
    }

    #[test]
    fn random_numbers_follow_the_published_sequence() {
        let host = WorkerHost::new(Timers::default(), [1, 2, 3, 4]);
        // First outputs of the reference implementation for this state.
        let expected = [
            41_943_041,
            58_720_359,
            3_588_806_011_781_223,
            3_591_011_842_654_386,
        ];
        for value in expected {
            assert_eq!(host.random(), value);
        }
    }
}
