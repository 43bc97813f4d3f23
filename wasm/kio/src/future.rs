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
///
/// `poll` must ask everything it depends on each time: what an earlier poll registered is withdrawn.
pub fn wait<R, F: FnMut(&Waiter) -> Poll<R>>(poll: F) -> impl std::future::Future<Output = R> {
    Wait { poll, waiter: None }
}

struct Wait<F> {
    poll: F,
    waiter: Option<Waiter>,
}

// The closure is never pinned: it is called by reference and may move between polls.
impl<F> Unpin for Wait<F> {}

impl<R, F: FnMut(&Waiter) -> Poll<R>> std::future::Future for Wait<F> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let this = self.get_mut();
        poll_retained(&mut this.waiter, cx, &mut this.poll)
    }
}

/// Polls with a fresh waiter and keeps it: the task may have another waker by now. The old one goes
/// first, so that the new registration finds its entry dead and takes its place.
fn poll_retained<R>(
    slot: &mut Option<Waiter>,
    cx: &Context<'_>,
    mut poll: impl FnMut(&Waiter) -> Poll<R>,
) -> Poll<R> {
    *slot = None;
    let waiter = Waiter::new(cx.waker().clone());
    let result = poll(&waiter);
    if result.is_pending() {
        *slot = Some(waiter);
    }
    result
}
