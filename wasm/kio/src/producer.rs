//! The writing end.

use std::task::Poll;

use crate::consumer::Consumer;
use crate::future::wait;
use crate::state::{Cell, Mut, Ref, State, lock};
use crate::sync::{Arc, Mutex};
use crate::waiter::{Waiter, WaiterList};
use crate::weak::Weak;

/// A counted writer. The channel closes when the last one is dropped or one of them closes it.
#[derive(Debug)]
pub struct Producer<T> {
    pub(crate) cell: Cell<T>,
}

impl<T> Producer<T> {
    /// Opens a channel holding `value`, with one producer and no consumer.
    pub fn new(value: T) -> Self {
        Self {
            cell: Arc::new(Mutex::new(State {
                value,
                closed: false,
                producers: 1,
                consumers: 0,
                changed: WaiterList::new(),
                ended: WaiterList::new(),
                counted: WaiterList::new(),
            })),
        }
    }

    /// A new reader. The first one wakes those who wait in [`used`](Self::used).
    #[must_use]
    pub fn consume(&self) -> Consumer<T> {
        Consumer::attach(&self.cell)
    }

    /// A handle that keeps nothing open.
    #[must_use]
    pub fn downgrade(&self) -> Weak<T> {
        Weak::new(&self.cell)
    }

    /// Read access; never notifies.
    #[must_use]
    pub fn read(&self) -> Ref<'_, T> {
        Ref {
            guard: lock(&self.cell),
        }
    }

    /// Write access.
    ///
    /// # Errors
    /// The channel is closed: the final value, read-only.
    pub fn write(&self) -> Result<Mut<'_, T>, Ref<'_, T>> {
        let guard = lock(&self.cell);
        if guard.closed {
            Err(Ref { guard })
        } else {
            Ok(Mut::new(guard))
        }
    }

    /// Write access once `ready` says so, under one lock. `ready` only reads, so a poll that finds
    /// nothing to do wakes nobody. Keep the waiter until the next poll.
    ///
    /// # Errors
    /// The channel is closed: the final value. `ready` is not asked then.
    pub fn poll(
        &self,
        waiter: &Waiter,
        mut ready: impl FnMut(&Ref<'_, T>) -> Poll<()>,
    ) -> Poll<Result<Mut<'_, T>, Ref<'_, T>>> {
        let mut view = self.read();
        if view.is_closed() {
            return Poll::Ready(Err(view));
        }
        if ready(&view).is_ready() {
            return Poll::Ready(Ok(Mut::new(view.guard)));
        }
        waiter.register(&mut view.guard.changed);
        Poll::Pending
    }

    /// Waits until `ready` says so or the channel closes. Gives no guard, so that no lock can be
    /// held across an await: write afterwards, and check again.
    ///
    /// # Errors
    /// The channel is closed.
    pub async fn wait(&self, mut ready: impl FnMut(&Ref<'_, T>) -> Poll<()>) -> Result<(), Closed> {
        wait(|waiter| {
            self.poll(waiter, &mut ready)
                .map(|access| access.map(drop).map_err(|_final| Closed))
        })
        .await
    }

    /// Closes the channel; closing twice changes nothing.
    pub fn close(&self) {
        let wake = lock(&self.cell).close();
        wake.wake();
    }

    /// Whether the channel is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        lock(&self.cell).closed
    }

    /// Ready once the channel is closed.
    pub fn poll_closed(&self, waiter: &Waiter) -> Poll<()> {
        poll_closed(&self.cell, waiter)
    }

    /// Waits until the channel is closed.
    pub async fn closed(&self) {
        wait(|waiter| self.poll_closed(waiter)).await;
    }

    /// Ready with `Some` while no consumer exists, with `None` once the channel is closed.
    pub fn poll_unused(&self, waiter: &Waiter) -> Poll<Option<()>> {
        self.poll_count(waiter, |consumers| consumers == 0)
    }

    /// Ready with `Some` while a consumer exists, with `None` once the channel is closed.
    pub fn poll_used(&self, waiter: &Waiter) -> Poll<Option<()>> {
        self.poll_count(waiter, |consumers| consumers > 0)
    }

    // One lock covers the look at the counter and the registration, and counters change under the
    // same lock: a consumer that leaves in between cannot be missed.
    fn poll_count(&self, waiter: &Waiter, ready: impl Fn(usize) -> bool) -> Poll<Option<()>> {
        let mut state = lock(&self.cell);
        if state.closed {
            return Poll::Ready(None);
        }
        if ready(state.consumers) {
            return Poll::Ready(Some(()));
        }
        waiter.register(&mut state.counted);
        Poll::Pending
    }

    /// Whether a consumer exists now.
    #[must_use]
    pub fn is_used(&self) -> bool {
        lock(&self.cell).consumers > 0
    }

    /// Waits until no consumer exists.
    ///
    /// # Errors
    /// The channel closed first.
    pub async fn unused(&self) -> Result<(), Closed> {
        wait(|waiter| self.poll_unused(waiter)).await.ok_or(Closed)
    }

    /// Waits until a consumer exists.
    ///
    /// # Errors
    /// The channel closed first.
    pub async fn used(&self) -> Result<(), Closed> {
        wait(|waiter| self.poll_used(waiter)).await.ok_or(Closed)
    }

    /// Whether both handles belong to one channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cell, &other.cell)
    }
}

pub(crate) fn poll_closed<T>(cell: &Mutex<State<T>>, waiter: &Waiter) -> Poll<()> {
    let mut state = lock(cell);
    if state.closed {
        return Poll::Ready(());
    }
    waiter.register(&mut state.ended);
    Poll::Pending
}

impl<T: Default> Default for Producer<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Clone for Producer<T> {
    fn clone(&self) -> Self {
        lock(&self.cell).producers += 1;
        Self {
            cell: self.cell.clone(),
        }
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.cell);
        state.producers -= 1;
        if state.producers == 0 {
            let wake = state.close();
            drop(state);
            wake.wake();
        }
    }
}

/// The channel is closed and nothing will change any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("channel closed")
    }
}

impl std::error::Error for Closed {}
