//! Who wants to be woken: strong on the waiting side, weak in the lists.

use std::collections::VecDeque;
use std::task::Waker;

use crate::fault;
use crate::sync::{Owner, Weak};

/// One waiting party. It must be kept until the next poll: lists hold it weakly, so a waiter that
/// is dropped has withdrawn from every list it was registered in. Clones are the same party.
#[derive(Clone, Debug)]
pub struct Waiter(Owner<Waker>);

impl Waiter {
    /// A waiter that wakes `waker`.
    #[must_use]
    pub fn new(waker: Waker) -> Self {
        Self(Owner::new(waker))
    }

    /// A waiter that nobody hears, for a poll that only wants to look.
    #[must_use]
    pub fn noop() -> Self {
        Self::new(Waker::noop().clone())
    }

    /// Adds this waiter to `list` until the list is taken or the waiter dropped. One waiter may be
    /// in many lists.
    pub fn register(&self, list: &mut WaiterList) {
        list.insert(Owner::downgrade(&self.0));
    }

    /// The waker behind this waiter.
    #[must_use]
    pub fn waker(&self) -> &Waker {
        &self.0
    }
}

/// Entries looked at per registration: those of dropped waiters and of this very one are removed,
/// the others move to the back. A list of `n` entries is looked through within `n / 2` registrations,
/// so it holds at most those that lived when that round began plus `n / 2` newer ones: never more
/// than twice the waiters that lived in it at once. A single look would bound nothing.
const PROBES: usize = 2;

/// Waiters registered on one kind of event.
#[derive(Debug, Default)]
pub struct WaiterList {
    /// The front of the queue. Most lists have one waiter at most; those never allocate.
    first: Option<Weak<Waker>>,
    /// The rest, the one looked at longest ago first. Empty while `first` is.
    rest: VecDeque<Weak<Waker>>,
}

impl WaiterList {
    /// An empty list; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            first: None,
            rest: VecDeque::new(),
        }
    }

    fn insert(&mut self, waiter: Weak<Waker>) {
        for _ in 0..PROBES {
            let Some(oldest) = self.pop() else { break };
            if oldest.strong_count() > 0 && !oldest.ptr_eq(&waiter) {
                self.push(oldest);
            }
        }
        self.push(waiter);
    }

    fn pop(&mut self) -> Option<Weak<Waker>> {
        std::mem::replace(&mut self.first, self.rest.pop_front())
    }

    fn push(&mut self, waiter: Weak<Waker>) {
        if self.first.is_none() {
            self.first = Some(waiter);
        } else {
            self.rest.push_back(waiter);
        }
    }

    /// Empties the list; the one left behind has allocated nothing. Wake the result after unlocking.
    #[must_use = "the waiters taken are not woken yet"]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Wakes every live waiter.
    pub fn wake(self) {
        for waiter in self.first.into_iter().chain(self.rest) {
            if fault::mutant("skip-wake") && fault::delay(20) {
                continue;
            }
            if let Some(waker) = waiter.upgrade() {
                waker.wake_by_ref();
            }
        }
    }

    /// Entries held, those of dropped waiters included.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Whether nothing is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}
