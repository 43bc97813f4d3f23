//! What a session holds of the cache because its peer reads slowly.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use kio::Shared;

use crate::{
    Error, GroupConsumer, Result,
    held::{Gauge, Held, Seat},
    lite::session::kio_poll,
    map::Map,
    peaks::Peak,
};

/// The groups on their way to one peer, and what of them waits. Both are bounded, and the oldest group makes way.
pub(crate) struct Pins {
    table: Mutex<Table>,
    held: Arc<Held>,
    /// Bytes that may wait.
    bytes: usize,
    /// Groups that may be on their way.
    groups: usize,
}

#[derive(Default)]
struct Table {
    next: u64,
    /// In the order of their beginning.
    live: Map<u64, Waiting>,
    bytes: usize,
}

struct Waiting {
    /// None while its stream takes what there is.
    bytes: usize,
    given_up: Shared<bool>,
}

impl Table {
    /// The group that has to make way, if there is too much of anything.
    fn excess(&self, bytes: usize, groups: usize) -> Option<u64> {
        let mut live = self.live.iter();
        if self.live.len() > groups {
            return live.next().map(|(id, _)| *id);
        }
        // One group alone is bounded by the cache.
        let mut waiting = live.filter(|(_, group)| group.bytes > 0 && group.bytes < self.bytes);
        let oldest = waiting.next().map(|(id, _)| *id);
        oldest.filter(|_| self.bytes > bytes)
    }
}

impl Pins {
    pub(crate) fn new(bytes: usize, groups: usize, held: &Arc<Held>) -> Self {
        Self {
            table: Mutex::default(),
            held: held.clone(),
            bytes,
            groups,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A group that is about to be sent.
    pub(super) fn pin(&self, group: &GroupConsumer) -> Pin<'_> {
        let given_up = Shared::new(false);
        let mut table = self.lock();
        let id = table.next;
        table.next += 1;
        let waiting = Waiting {
            bytes: 0,
            given_up: given_up.clone(),
        };
        table.live.insert(id, waiting);
        let pin = Pin {
            pins: self,
            id,
            group: group.clone(),
            given_up,
            _seat: self.held.seat(Gauge::Sending),
        };
        self.make_room(table);
        pin
    }

    /// Gives the oldest up while there is too much of anything.
    fn make_room(&self, mut table: MutexGuard<'_, Table>) {
        let mut losers = Vec::new();
        while let Some(oldest) = table.excess(self.bytes, self.groups) {
            let Some(oldest) = table.live.remove(&oldest) else {
                break;
            };
            table.bytes -= oldest.bytes;
            self.held.remove(Gauge::Unsent, oldest.bytes);
            losers.push(oldest.given_up);
        }
        self.held.mark(Gauge::Unsent);
        self.held.mark_queue(Peak::Groups, table.live.len());
        drop(table);
        // It wakes them, so no lock may be held.
        for loser in losers {
            *loser.lock() = true;
        }
    }
}

/// One group for as long as it is sent.
pub(super) struct Pin<'a> {
    pins: &'a Pins,
    id: u64,
    group: GroupConsumer,
    given_up: Shared<bool>,
    _seat: Seat,
}

impl Pin<'_> {
    /// Runs `future`, which is all that becomes of the group. Ready early with [`Error::CacheFull`] when the group has to make
    /// way.
    pub(super) async fn unless_given_up<V>(
        &self,
        future: impl Future<Output = Result<V>>,
    ) -> Result<V> {
        let mut future = std::pin::pin!(future);
        kio_poll(|waiter, cx| match future.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => self.given_up.poll(waiter, |given_up| match given_up {
                true => Poll::Ready(Err(Error::CacheFull)),
                false => Poll::Pending,
            }),
        })
        .await
    }

    /// Runs `future`; while that is blocked, the bytes of the group after the first `sent` count as waiting.
    pub(super) async fn blocked<V>(&self, sent: usize, future: impl Future<Output = V>) -> V {
        let mut future = std::pin::pin!(future);
        let done = std::future::poll_fn(|cx| {
            let done = future.as_mut().poll(cx);
            if done.is_pending() {
                self.count(self.group.pending(sent));
            }
            done
        })
        .await;
        self.count(0);
        done
    }

    /// Takes note of how much waits.
    fn count(&self, bytes: usize) {
        let mut table = self.pins.lock();
        // Given up: then it does not count any more.
        let Some(waiting) = table.live.get_mut(&self.id) else {
            return;
        };
        let before = std::mem::replace(&mut waiting.bytes, bytes);
        table.bytes = table.bytes - before + bytes;
        self.pins.held.add(Gauge::Unsent, bytes);
        self.pins.held.remove(Gauge::Unsent, before);
        if bytes > before {
            self.pins.make_room(table);
        }
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        self.count(0);
        self.pins.lock().live.remove(&self.id);
    }
}
