//! Who wants to be woken: strong on the waiting side, weak in the lists.

use std::sync::{Arc, Weak};
use std::task::Waker;

/// One waiting party. It must be kept until the next poll: lists hold it weakly, so a waiter that
/// is dropped has withdrawn from every list it was registered in.
#[derive(Clone, Debug)]
pub struct Waiter(Arc<Waker>);

impl Waiter {
    /// A waiter that wakes `waker`.
    #[must_use]
    pub fn new(waker: Waker) -> Self {
        Self(Arc::new(waker))
    }

    /// A waiter that nobody hears, for a poll that only wants to look.
    #[must_use]
    pub fn noop() -> Self {
        Self::new(Waker::noop().clone())
    }

    /// Adds this waiter to `list` until the list is taken or the waiter dropped.
    pub fn register(&self, list: &mut WaiterList) {
        list.insert(Arc::downgrade(&self.0));
    }

    /// The waker behind this waiter.
    #[must_use]
    pub fn waker(&self) -> &Waker {
        &self.0
    }
}

/// Slots looked at per registration for a dead entry to reuse. Two keep the list below twice the
/// number of live waiters: each registration frees at least as much as it adds.
const PROBES: usize = 2;

/// Waiters registered on one kind of event.
#[derive(Debug, Default)]
pub struct WaiterList {
    slots: Vec<Weak<Waker>>,
    /// Where the next search for a dead slot starts; it walks round the list.
    cursor: usize,
}

impl WaiterList {
    /// An empty list; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            slots: Vec::new(),
            cursor: 0,
        }
    }

    fn insert(&mut self, waiter: Weak<Waker>) {
        let mut free = None;
        for _ in 0..PROBES.min(self.slots.len()) {
            if self.cursor >= self.slots.len() {
                self.cursor = 0;
            }
            let index = self.cursor;
            if self.slots[index].ptr_eq(&waiter) {
                return;
            }
            if self.slots[index].strong_count() > 0 {
                self.cursor += 1;
            } else if free.is_none() {
                free = Some(index);
                self.cursor += 1;
            } else {
                // The last slot moves here and is looked at next time.
                self.slots.swap_remove(index);
            }
        }
        match free {
            Some(index) => self.slots[index] = waiter,
            None => self.slots.push(waiter),
        }
    }

    /// Empties the list, leaving an allocation-free one behind. Wake the result after unlocking.
    #[must_use = "the waiters taken are not woken yet"]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Wakes every live waiter.
    pub fn wake(self) {
        for waiter in self.slots {
            if let Some(waker) = waiter.upgrade() {
                waker.wake_by_ref();
            }
        }
    }

    /// Slots in use, dead ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nothing is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}
