//! The world a session runs in: tokio's clock and the system's randomness.

use moq_net::{Host, Instant, Sleep};
use ring::rand::{SecureRandom, SystemRandom};

/// Time since the relay started and random numbers from the operating system.
pub struct TokioHost {
    epoch: tokio::time::Instant,
    random: SystemRandom,
}

impl Default for TokioHost {
    fn default() -> Self {
        Self {
            epoch: tokio::time::Instant::now(),
            random: SystemRandom::new(),
        }
    }
}

impl Host for TokioHost {
    fn now(&self) -> Instant {
        Instant::from_epoch(self.epoch.elapsed())
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        let wake = self.epoch + deadline.since_epoch();
        Box::pin(tokio::time::sleep_until(wake))
    }

    fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        // The system generator only fails before it is seeded at boot, long before a relay runs.
        self.random
            .fill(&mut bytes)
            .expect("system random number generator");
        u64::from_le_bytes(bytes)
    }
}
