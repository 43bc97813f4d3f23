//! The reading end.

use std::task::Poll;

use crate::future::wait;
use crate::producer::{Closed, poll_closed};
use crate::state::{Cell, Ref, lock};
use crate::sync::Arc;
use crate::waiter::Waiter;
use crate::weak::Weak;

/// A counted reader. Producers see whether any exists.
#[derive(Debug)]
pub struct Consumer<T> {
    cell: Cell<T>,
}

impl<T> Consumer<T> {
    pub(crate) fn attach(cell: &Cell<T>) -> Self {
        let mut state = lock(cell);
        state.consumers += 1;
        // Only the step from none to one is news to a producer.
        let waiters = (state.consumers == 1).then(|| state.counted.take());
        drop(state);
        if let Some(waiters) = waiters {
            waiters.wake();
        }
        Self { cell: cell.clone() }
    }

    /// Read access; never notifies.
    #[must_use]
    pub fn read(&self) -> Ref<'_, T> {
        Ref {
            guard: lock(&self.cell),
        }
    }

    /// Asks `ready`, then whether the channel is closed, then waits for a change. In this order the
    /// final value beats the end of the channel. Keep the waiter until the next poll.
    ///
    /// A ready answer registers nothing: who goes on waiting for something else must register here
    /// by other means.
    ///
    /// # Errors
    /// The channel is closed and `ready` found nothing in the final value.
    pub fn poll<R>(
        &self,
        waiter: &Waiter,
        mut ready: impl FnMut(&Ref<'_, T>) -> Poll<R>,
    ) -> Poll<Result<R, Ref<'_, T>>> {
        let mut view = self.read();
        if let Poll::Ready(result) = ready(&view) {
            return Poll::Ready(Ok(result));
        }
        if view.is_closed() {
            return Poll::Ready(Err(view));
        }
        waiter.register(&mut view.guard.changed);
        Poll::Pending
    }

    /// The asynchronous twin of [`poll`](Self::poll); gives no guard, so that no lock can be held
    /// across an await.
    ///
    /// # Errors
    /// The channel is closed and `ready` found nothing in the final value.
    pub async fn wait<R>(
        &self,
        mut ready: impl FnMut(&Ref<'_, T>) -> Poll<R>,
    ) -> Result<R, Closed> {
        wait(|waiter| {
            self.poll(waiter, &mut ready)
                .map(|result| result.map_err(|_final| Closed))
        })
        .await
    }

    /// Registers for the next change and for the end, whatever the value is now: for those who
    /// watch many channels at once.
    pub fn register(&self, waiter: &Waiter) {
        waiter.register(&mut lock(&self.cell).changed);
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

    /// A handle that keeps nothing open and is not counted.
    #[must_use]
    pub fn downgrade(&self) -> Weak<T> {
        Weak::new(&self.cell)
    }

    /// Whether both handles belong to one channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cell, &other.cell)
    }
}

impl<T> Clone for Consumer<T> {
    fn clone(&self) -> Self {
        Self::attach(&self.cell)
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.cell);
        state.consumers -= 1;
        if state.consumers == 0 {
            let waiters = state.counted.take();
            drop(state);
            waiters.wake();
        }
    }
}
