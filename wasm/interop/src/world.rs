//! Our core's world on tokio, for the tests.

use std::time::Duration;

use moq_net::{Host, Instant, Limits, Runtime, Sleep};

struct Tokio {
    epoch: tokio::time::Instant,
    next: std::sync::atomic::AtomicU64,
}

impl Host for Tokio {
    fn now(&self) -> Instant {
        Instant::from_epoch(self.epoch.elapsed())
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        Box::pin(tokio::time::sleep_until(
            self.epoch + deadline.since_epoch(),
        ))
    }

    fn random(&self) -> u64 {
        // Distinct ids are all that these tests need; a fixed sequence keeps them repeatable.
        let step = self
            .next
            .fetch_add(0x9e37_79b9_7f4a_7c15, std::sync::atomic::Ordering::Relaxed);
        (step ^ (step >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }
}

/// A runtime with default limits.
#[must_use]
pub fn runtime() -> Runtime {
    let host = Tokio {
        epoch: tokio::time::Instant::now(),
        next: 1.into(),
    };
    Runtime::new(host, Limits::default())
}

/// How long a step of a test may take before it counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(10);
