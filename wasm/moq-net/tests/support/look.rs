//! Looking at poll methods one poll at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Wake, Waker},
    time::Duration,
};

use kio::Waiter;
use moq_net::{Limits, Runtime};

use super::executor::Executor;

/// A runtime in virtual time.
pub struct World {
    pub executor: Executor,
    pub runtime: Runtime,
}

impl World {
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        let executor = Executor::new();
        let runtime = executor.runtime(limits);
        Self { executor, runtime }
    }

    pub fn pass(&self, millis: u64) {
        self.executor.advance(Duration::from_millis(millis));
    }
}

/// One poll: the result, or `None` while pending.
pub fn look<T>(poll: impl FnOnce(&Waiter) -> Poll<T>) -> Option<T> {
    match poll(&Waiter::noop()) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Somebody who waits and counts how often it is woken.
pub struct Probe {
    count: Arc<Count>,
    waiter: Waiter,
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Probe {
    pub fn new() -> Self {
        let count = Arc::<Count>::default();
        let waiter = Waiter::new(Waker::from(count.clone()));
        Self { count, waiter }
    }

    /// Polls, expecting to have to wait.
    pub fn park<T>(&self, poll: impl FnOnce(&Waiter) -> Poll<T>) {
        assert!(poll(&self.waiter).is_pending(), "expected to wait");
    }

    pub fn wakes(&self) -> usize {
        self.count.0.load(Ordering::Relaxed)
    }
}
