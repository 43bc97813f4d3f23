//! How often something may happen: tokens that come at a steady pace.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{Instant, Runtime};

/// How often something may happen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Times in a second, at least 1.
    pub per_second: u32,
    /// Times at once, after a long enough rest; at least 1.
    pub burst: u32,
}

impl Rate {
    /// `per_second` times a second, and `burst` times at once.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst }
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s, {} at once", self.per_second, self.burst)
    }
}

/// Counts against a [`Rate`].
pub(crate) struct Bucket {
    rate: Rate,
    /// When all tokens will be there again.
    full: Mutex<Instant>,
}

impl Bucket {
    pub(crate) const fn new(rate: Rate) -> Self {
        Self {
            rate,
            full: Mutex::new(Instant::ZERO),
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// When there will be one.
    pub(crate) fn take(&self, now: Instant) -> Result<(), Instant> {
        let pace = Duration::from_secs(1) / self.rate.per_second.max(1);
        // What may be owed: one token less than all, for the one that is taken now.
        let debt = pace.saturating_mul(self.rate.burst.max(1) - 1);
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        let start = (*full).max(now);
        if start.duration_since(now) > debt {
            return Err(start - debt);
        }
        *full = start + pace;
        Ok(())
    }

    /// Puts a token back that was taken.
    pub(crate) fn give_back(&self) {
        let pace = Duration::from_secs(1) / self.rate.per_second.max(1);
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        *full = Instant::from_epoch(full.since_epoch().saturating_sub(pace));
    }

    /// Waits for a token and takes it.
    pub(crate) async fn wait(&self, runtime: &Runtime) {
        while let Err(next) = self.take(runtime.now()) {
            runtime.sleep_until(next).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn at(millis: u64) -> Instant {
        Instant::from_epoch(Duration::from_millis(millis))
    }

    #[test]
    fn a_burst_then_a_steady_pace() {
        let bucket = Bucket::new(Rate::new(10, 3));
        for _ in 0..3 {
            assert_eq!(bucket.take(at(5000)), Ok(()));
        }
        assert_eq!(bucket.take(at(5000)), Err(at(5100)));
        assert_eq!(bucket.take(at(5099)), Err(at(5100)));
        assert_eq!(bucket.take(at(5100)), Ok(()));
        assert_eq!(bucket.take(at(5100)), Err(at(5200)));
        // A long rest gives no more than the burst.
        for _ in 0..3 {
            assert_eq!(bucket.take(at(60_000)), Ok(()));
        }
        assert!(bucket.take(at(60_000)).is_err());
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let bucket = Bucket::new(Rate::new(10, 2));
        for _ in 0..20 {
            assert_eq!(bucket.take(at(5000)), Ok(()));
            bucket.give_back();
        }
        assert_eq!(bucket.take(at(5000)), Ok(()));
        assert_eq!(bucket.take(at(5000)), Ok(()));
        assert!(bucket.take(at(5000)).is_err());
        let rested = Bucket::new(Rate::new(1, 1));
        rested.give_back();
        assert_eq!(rested.take(at(0)), Ok(()));
        assert!(rested.take(at(0)).is_err(), "never more than the burst");
    }

    #[test]
    fn zero_counts_as_one() {
        let bucket = Bucket::new(Rate::new(0, 0));
        assert_eq!(bucket.take(at(0)), Ok(()));
        assert_eq!(bucket.take(at(0)), Err(at(1000)));
    }
}
