//! The virtual clock as the world of the core.

use moq_net::{Host, Instant, Limits, Runtime, Sleep};

use crate::executor::{Clock, Executor};

impl Host for Clock {
    fn now(&self) -> Instant {
        Instant::from_epoch(Self::now(self))
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        Box::pin(Self::sleep_until(self, deadline.since_epoch()))
    }

    fn random(&self) -> u64 {
        Self::random(self)
    }
}

impl Executor {
    /// A runtime on this executor's clock.
    pub fn runtime(&self, limits: Limits) -> Runtime {
        Runtime::new(self.clock(), limits)
    }
}
