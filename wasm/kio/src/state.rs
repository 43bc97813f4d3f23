//! The cell that producers and consumers share.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

use crate::sync::{Arc, Mutex, MutexGuard};
use crate::waiter::WaiterList;

/// Everything behind the lock. The counters live here too, so that "last one gone" and the change
/// it causes are one step.
#[derive(Debug)]
pub(crate) struct State<T> {
    pub(crate) value: T,
    pub(crate) closed: bool,
    pub(crate) producers: usize,
    pub(crate) consumers: usize,
    /// Woken when the value changes or the channel closes.
    pub(crate) changed: WaiterList,
    /// Woken when the channel closes.
    pub(crate) ended: WaiterList,
    /// Woken when the first consumer comes, the last one goes, or the channel closes.
    pub(crate) counted: WaiterList,
}

/// Waiters taken under the lock, to be woken after it.
#[derive(Default)]
pub(crate) struct Wake(Option<[WaiterList; 3]>);

impl Wake {
    pub(crate) fn wake(self) {
        for list in self.0.into_iter().flatten() {
            list.wake();
        }
    }
}

impl<T> State<T> {
    /// Closes once; later calls change nothing.
    pub(crate) fn close(&mut self) -> Wake {
        if std::mem::replace(&mut self.closed, true) {
            return Wake::default();
        }
        Wake(Some([
            self.changed.take(),
            self.ended.take(),
            self.counted.take(),
        ]))
    }
}

pub(crate) type Cell<T> = Arc<Mutex<State<T>>>;

/// A panic in a predicate poisons the lock, but the state has no step that a panic could leave half
/// done: counters and lists change only between user code.
pub(crate) fn lock<T>(cell: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    cell.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Read access to the value. Never notifies anybody.
#[derive(Debug)]
pub struct Ref<'a, T> {
    pub(crate) guard: MutexGuard<'a, State<T>>,
}

impl<T> Ref<'_, T> {
    /// Whether the channel is closed: nothing will change any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.guard.closed
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard.value
    }
}

/// Write access to the value. Dropping it wakes those who wait for a change, but only if the value
/// was borrowed mutably: a look that found nothing to do disturbs nobody.
#[derive(Debug)]
pub struct Mut<'a, T> {
    /// `None` once released; the lock is given back before anybody is woken.
    guard: Option<MutexGuard<'a, State<T>>>,
    modified: bool,
}

impl<'a, T> Mut<'a, T> {
    pub(crate) fn new(guard: MutexGuard<'a, State<T>>) -> Self {
        Self {
            guard: Some(guard),
            modified: false,
        }
    }

    fn state(&self) -> &State<T> {
        self.guard.as_ref().expect("held until drop or close")
    }

    /// Closes the channel with the value as it stands.
    pub fn close(mut self) {
        if let Some(mut guard) = self.guard.take() {
            let wake = guard.close();
            drop(guard);
            wake.wake();
        }
    }
}

impl<T> Deref for Mut<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state().value
    }
}

impl<T> DerefMut for Mut<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.modified = true;
        &mut self.guard.as_mut().expect("held until drop or close").value
    }
}

impl<T> Drop for Mut<'_, T> {
    fn drop(&mut self) {
        let Some(mut guard) = self.guard.take() else {
            return;
        };
        if self.modified {
            let waiters = guard.changed.take();
            drop(guard);
            waiters.wake();
        }
    }
}
