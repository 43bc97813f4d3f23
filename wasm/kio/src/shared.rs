//! A cell without roles.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::task::Poll;

use crate::sync::{Arc, Mutex, MutexGuard};
use crate::waiter::{Waiter, WaiterList};

#[derive(Debug)]
struct State<T> {
    value: T,
    changed: WaiterList,
}

/// A shared value whose holders are all alike: nothing is counted and nothing closes. If it has an
/// end, the value itself says so.
#[derive(Debug)]
pub struct Shared<T>(Arc<Mutex<State<T>>>);

impl<T> Shared<T> {
    /// Shares `value`.
    pub fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(State {
            value,
            changed: WaiterList::new(),
        })))
    }

    /// Access to the value; a mutable borrow wakes those who wait when the guard goes.
    #[must_use]
    pub fn lock(&self) -> SharedMut<'_, T> {
        SharedMut {
            guard: Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)),
            modified: false,
        }
    }

    /// Asks `ready`; registers for the next change where it is not. Keep the waiter until the next
    /// poll.
    pub fn poll<R>(&self, waiter: &Waiter, mut ready: impl FnMut(&T) -> Poll<R>) -> Poll<R> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = ready(&guard.value);
        if result.is_pending() {
            waiter.register(&mut guard.changed);
        }
        result
    }

    /// Whether both handles share one value.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Access to a [`Shared`] value.
#[derive(Debug)]
pub struct SharedMut<'a, T> {
    guard: Option<MutexGuard<'a, State<T>>>,
    modified: bool,
}

impl<T> Deref for SharedMut<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard.as_ref().expect("held until drop").value
    }
}

impl<T> DerefMut for SharedMut<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.modified = true;
        &mut self.guard.as_mut().expect("held until drop").value
    }
}

impl<T> Drop for SharedMut<'_, T> {
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
