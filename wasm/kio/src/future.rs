//! From poll methods to futures, with the waiter kept in one place.

use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::waiter::Waiter;

/// An operation under way that can be asked for its result through a shared borrow.
pub trait Future: Unpin {
    /// What it resolves to.
    type Output;

    /// The result, or a registration of `waiter` for the next change. Keep the waiter until then.
    fn poll(&self, waiter: &Waiter) -> Poll<Self::Output>;
}

/// An operation as a `std` future. It alone keeps the waiter between polls, so that no operation
/// has to; dropping it cancels the operation.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Pending<F> {
    inner: F,
    waiter: Option<Waiter>,
}

impl<F> Pending<F> {
    /// Wraps an operation.
    pub const fn new(inner: F) -> Self {
        Self {
            inner,
            waiter: None,
        }
    }

    /// The operation itself.
    pub fn into_inner(self) -> F {
        self.inner
    }
}

impl<F> Deref for Pending<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.inner
    }
}

impl<F> DerefMut for Pending<F> {
    fn deref_mut(&mut self) -> &mut F {
        &mut self.inner
    }
}

impl<F: Future> std::future::Future for Pending<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        poll_retained(&mut this.waiter, cx, |waiter| this.inner.poll(waiter))
    }
}

/// Turns a poll method into a future: the waiter lives as long as the future waits.
pub fn wait<R, F: FnMut(&Waiter) -> Poll<R> + Unpin>(
    poll: F,
) -> impl std::future::Future<Output = R> {
    Wait { poll, waiter: None }
}

struct Wait<F> {
    poll: F,
    waiter: Option<Waiter>,
}

impl<R, F: FnMut(&Waiter) -> Poll<R> + Unpin> std::future::Future for Wait<F> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let this = self.get_mut();
        poll_retained(&mut this.waiter, cx, &mut this.poll)
    }
}

/// Polls with a fresh waiter and keeps it: the task may have another waker by now, and the old
/// registration ends with the old waiter.
fn poll_retained<R>(
    slot: &mut Option<Waiter>,
    cx: &Context<'_>,
    mut poll: impl FnMut(&Waiter) -> Poll<R>,
) -> Poll<R> {
    let waiter = Waiter::new(cx.waker().clone());
    let result = poll(&waiter);
    *slot = result.is_pending().then_some(waiter);
    result
}
