//! What a session holds of the cache because its peer reads slowly.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use kio::{Shared, Waiter};

use crate::{
    Error, GroupConsumer, Result,
    held::{Gauge, Held},
    lite::session::kio_poll,
    map::Map,
};

/// The groups that wait to be sent to one peer, bounded together: the oldest makes way.
pub(crate) struct Pins {
    table: Mutex<Table>,
    held: Arc<Held>,
    limit: usize,
}

#[derive(Default)]
struct Table {
    next: u64,
    /// In the order of their beginning.
    waiting: Map<u64, Waiting>,
    bytes: usize,
}

struct Waiting {
    bytes: usize,
    given_up: Shared<bool>,
}

impl Pins {
    pub(crate) fn new(limit: usize, held: &Arc<Held>) -> Self {
        Self {
            table: Mutex::default(),
            held: held.clone(),
            limit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A group that is about to be sent.
    pub(super) fn pin(&self, group: &GroupConsumer) -> Pin<'_> {
        let mut table = self.lock();
        let id = table.next;
        table.next += 1;
        Pin {
            pins: self,
            id,
            group: group.clone(),
            given_up: Shared::new(false),
        }
    }
}

/// One group for as long as it is sent. It counts only while its stream is blocked.
pub(super) struct Pin<'a> {
    pins: &'a Pins,
    id: u64,
    group: GroupConsumer,
    given_up: Shared<bool>,
}

impl Pin<'_> {
    /// Runs `future`; while that waits, the bytes of the group after the first `sent` count. Ready early with
    /// [`Error::CacheFull`] when the group has to make way.
    pub(super) async fn unless_given_up<V>(
        &self,
        sent: usize,
        future: impl Future<Output = Result<V>>,
    ) -> Result<V> {
        let mut future = std::pin::pin!(future);
        let done = kio_poll(|waiter, cx| match future.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => {
                self.count(self.group.pending(sent));
                self.poll_given_up(waiter).map(|()| Err(Error::CacheFull))
            }
        })
        .await;
        self.release();
        done
    }

    fn poll_given_up(&self, waiter: &Waiter) -> Poll<()> {
        self.given_up.poll(waiter, |given_up| match given_up {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
    }

    /// Takes note of what waits, and gives the oldest up while that is too much.
    fn count(&self, bytes: usize) {
        let mut losers = Vec::new();
        {
            let mut table = self.pins.lock();
            self.remove(&mut table);
            let waiting = Waiting {
                bytes,
                given_up: self.given_up.clone(),
            };
            table.bytes += bytes;
            self.pins.held.add(Gauge::Unsent, bytes);
            table.waiting.insert(self.id, waiting);
            // One group alone is bounded by the cache.
            while table.bytes > self.pins.limit && table.waiting.len() > 1 {
                let Some((_, oldest)) = table.waiting.pop_first() else {
                    break;
                };
                table.bytes -= oldest.bytes;
                self.pins.held.remove(Gauge::Unsent, oldest.bytes);
                losers.push(oldest.given_up);
            }
        }
        // It wakes them, so no lock may be held.
        for loser in losers {
            *loser.lock() = true;
        }
    }

    fn remove(&self, table: &mut Table) {
        if let Some(waiting) = table.waiting.remove(&self.id) {
            table.bytes -= waiting.bytes;
            self.pins.held.remove(Gauge::Unsent, waiting.bytes);
        }
    }

    fn release(&self) {
        self.remove(&mut self.pins.lock());
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        self.release();
    }
}
