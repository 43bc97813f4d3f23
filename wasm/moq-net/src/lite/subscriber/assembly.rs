//! What one session has received of frames that are not whole.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use kio::{Shared, Waiter};

use crate::{
    Limits, Runtime,
    cost::{
        held::{Gauge, Held},
        traffic::Meter,
    },
};

/// The frames of one session that are received in pieces, bounded together.
pub(crate) struct Assembly {
    parts: Mutex<Parts>,
    held: Arc<Held>,
    runtime: Runtime,
}

#[derive(Default)]
struct Parts {
    next: u64,
    /// The lowest priority first, and of one priority the youngest.
    live: BTreeMap<Key, Part>,
    /// Bytes of all of them.
    bytes: usize,
}

type Key = (u8, Reverse<u64>);

struct Part {
    bytes: usize,
    given_up: Shared<bool>,
}

impl Assembly {
    pub(crate) fn new(runtime: &Runtime, held: &Arc<Held>) -> Self {
        Self {
            parts: Mutex::default(),
            held: held.clone(),
            runtime: runtime.clone(),
        }
    }

    /// Counts what comes.
    pub(super) fn meter(&self) -> &Meter {
        &self.held.received
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A frame of which nothing has arrived yet.
    pub(super) fn begin(&self, priority: u8) -> Share<'_> {
        let given_up = Shared::new(false);
        let mut parts = self.lock();
        let key = (priority, Reverse(parts.next));
        parts.next += 1;
        parts.live.insert(
            key,
            Part {
                bytes: 0,
                given_up: given_up.clone(),
            },
        );
        Share {
            assembly: self,
            key,
            given_up,
        }
    }
}

/// The part of one frame.
pub(super) struct Share<'a> {
    assembly: &'a Assembly,
    key: Key,
    given_up: Shared<bool>,
}

impl Share<'_> {
    /// Counts what has arrived. Frames of lower priority are given up for it, or else itself.
    pub(super) fn grow(&self, bytes: usize) {
        let mut losers = Vec::new();
        {
            let mut parts = self.assembly.lock();
            let Some(part) = parts.live.get_mut(&self.key) else {
                return;
            };
            part.bytes += bytes;
            parts.bytes += bytes;
            self.assembly.held.add(Gauge::Assembly, bytes);
            while parts.bytes > bound(self.assembly.runtime.limits()) {
                let Some((_, part)) = parts.live.pop_first() else {
                    break;
                };
                parts.bytes -= part.bytes;
                self.assembly.held.remove(Gauge::Assembly, part.bytes);
                losers.push(part.given_up);
            }
            self.assembly.held.mark(Gauge::Assembly);
        }
        // It wakes them, so no lock may be held.
        for loser in losers {
            *loser.lock() = true;
        }
    }

    /// Ready once the frame was given up for others.
    pub(super) fn poll_given_up(&self, waiter: &Waiter) -> Poll<()> {
        self.given_up.poll(waiter, |given_up| match given_up {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut parts = self.assembly.lock();
        if let Some(part) = parts.live.remove(&self.key) {
            parts.bytes -= part.bytes;
            self.assembly.held.remove(Gauge::Assembly, part.bytes);
        }
    }
}

/// One frame of the largest size always fits.
const fn bound(limits: &Limits) -> usize {
    limits.max_frame.saturating_add(limits.assembly_bytes)
}
