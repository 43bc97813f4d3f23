//! A task that is polled by hand, and counts how often it was woken.
#![allow(dead_code, reason = "every test file uses its part")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use kio::Waiter;

/// Counts wake-ups.
#[derive(Default)]
pub(crate) struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Counter {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn waiter(self: &Arc<Self>) -> Waiter {
        Waiter::new(Waker::from(self.clone()))
    }
}

/// One future and its waker.
pub(crate) struct Task<F: Future> {
    future: Pin<Box<F>>,
    counter: Arc<Counter>,
}

impl<F: Future> Task<F> {
    pub(crate) fn new(future: F) -> Self {
        Self {
            future: Box::pin(future),
            counter: Counter::new(),
        }
    }

    /// Parks it: the first poll must find nothing.
    pub(crate) fn parked(future: F) -> Self
    where
        F::Output: PartialEq + std::fmt::Debug,
    {
        let mut task = Self::new(future);
        assert_eq!(task.poll(), Poll::Pending);
        task
    }

    pub(crate) fn poll(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(self.counter.clone());
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    pub(crate) fn wakes(&self) -> usize {
        self.counter.count()
    }
}

impl<F: Future + Unpin> Task<F> {
    /// The future, as the code that waits for it would hold it.
    pub(crate) fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }
}
