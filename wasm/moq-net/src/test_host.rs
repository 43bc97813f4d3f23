//! A host for unit tests: nothing is random, nobody is woken, and time passes when the test says so.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{Host, Instant, Sleep};

/// Clones tell the same time, which begins at 0.
#[derive(Clone, Default)]
pub(crate) struct TestHost {
    seconds: Arc<AtomicU64>,
}

impl TestHost {
    pub(crate) fn set(&self, seconds: u64) {
        self.seconds.store(seconds, Ordering::Relaxed);
    }
}

impl Host for TestHost {
    fn now(&self) -> Instant {
        Instant::from_epoch(Duration::from_secs(self.seconds.load(Ordering::Relaxed)))
    }

    fn sleep_until(&self, _: Instant) -> Sleep {
        Box::pin(pending())
    }

    fn random(&self) -> u64 {
        0
    }
}
