//! The caller's world: its clock, its randomness, its limits, and what the whole process shares.

use std::{fmt, sync::Arc, time::Duration};

use kio::{MaybeSend, MaybeSync};

use crate::{
    Limits, Stats,
    cost::{
        gauges::Gauges,
        peaks::{Marks, Peak},
        permits::Permits,
    },
    model::pool::Pool,
    time::{Instant, Sleep},
};

/// What the core takes from its surroundings. It has no clock and no randomness of its own.
pub trait Host: MaybeSend + MaybeSync + 'static {
    /// The current time. Must never go backwards.
    fn now(&self) -> Instant;

    /// Resolves at `deadline`, or at once when that has passed.
    fn sleep_until(&self, deadline: Instant) -> Sleep;

    /// 64 uniformly random bits.
    fn random(&self) -> u64;
}

/// The caller's clock and randomness with the limits and caches of one process (or one worker).
///
/// Cloning is a reference bump; every root object of the model and every session is given one.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    host: Box<dyn Host>,
    limits: Limits,
    pool: Pool,
    gauges: Gauges,
    fetches: Permits,
    marks: Marks,
}

impl Runtime {
    /// A runtime with an empty cache.
    pub fn new(host: impl Host, limits: Limits) -> Self {
        Self {
            inner: Arc::new(Inner {
                host: Box::new(host),
                pool: Pool::new(limits.cache_bytes),
                fetches: Permits::new(limits.total_fetches),
                limits,
                gauges: Gauges::default(),
                marks: Marks::default(),
            }),
        }
    }

    /// The current time of the host.
    pub fn now(&self) -> Instant {
        self.inner.host.now()
    }

    /// Resolves at `deadline`.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        self.inner.host.sleep_until(deadline)
    }

    /// Resolves after `delay`.
    pub fn sleep(&self, delay: Duration) -> Sleep {
        self.sleep_until(self.now() + delay)
    }

    /// 64 random bits of the host.
    pub fn random_u64(&self) -> u64 {
        self.inner.host.random()
    }

    /// The limits everything made from this runtime keeps.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Live counts and the state of the cache.
    pub fn stats(&self) -> Stats {
        Stats {
            cached_bytes: self.pool().used(),
            evicted_groups: self.pool().evicted(),
            upstream_fetches: self.fetches().taken(),
            ..self.gauges().stats()
        }
    }

    /// How long queues have been at their longest. It never gets less. Only with the feature `faults`.
    #[cfg(feature = "faults")]
    pub fn peaks(&self) -> crate::Peaks {
        self.inner.marks.peaks()
    }

    /// Takes note of how long some queue is now.
    pub(crate) fn mark(&self, peak: Peak, held: usize) {
        self.inner.marks.note(peak, held);
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.inner.pool
    }

    /// Of fetches that may be under way upstream.
    pub(crate) fn fetches(&self) -> &Permits {
        &self.inner.fetches
    }

    pub(crate) fn gauges(&self) -> &Gauges {
        &self.inner.gauges
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}
