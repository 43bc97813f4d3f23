//! What a session holds of the cache because its peer reads slowly.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use kio::Shared;

use crate::{
    Error, GroupConsumer, Result,
    cost::{
        held::{Gauge, Held, Seat},
        peaks::Peak,
    },
    lite::session::kio_poll,
    map::Map,
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

    /// Whether there is room for more without anything having to make way soon.
    pub(super) fn has_room(&self) -> bool {
        let table = self.lock();
        table.live.len() < self.groups.div_ceil(2) && table.bytes < self.bytes.div_ceil(2)
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

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;
    use crate::{Limits, Runtime, TrackProducer, test_host::TestHost};

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// A table for so many bytes and groups, and groups of so many bytes each.
    fn table(bytes: usize, groups: usize, sizes: &[usize]) -> (Pins, Vec<GroupConsumer>) {
        let runtime = Runtime::new(TestHost::default(), Limits::default());
        let track = TrackProducer::new("video", None, &runtime);
        let group = |size: &usize| {
            let group = track.append_group().unwrap();
            group.write_frame(vec![0; *size]).unwrap();
            let reader = group.consume();
            group.finish().unwrap();
            reader
        };
        let pins = Pins::new(bytes, groups, &Held::new(&runtime));
        (pins, sizes.iter().map(group).collect())
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn gave_up(pin: &Pin<'_>) -> bool {
        poll(pin!(pin.unless_given_up(pending::<Result<()>>())))
            == Poll::Ready(Err(Error::CacheFull))
    }

    #[test]
    fn the_oldest_of_too_many_groups_makes_way() {
        let (pins, groups) = table(1000, 2, &[1; 5]);
        let on_their_way = || pins.held.get(Gauge::Sending);
        let [a, b] = [0, 1].map(|at| pins.pin(&groups[at]));
        assert!(!gave_up(&a) && !gave_up(&b));
        let c = pins.pin(&groups[2]);
        assert_eq!([&a, &b, &c].map(gave_up), [true, false, false]);
        assert_eq!(on_their_way(), 3, "the first has yet to go");
        assert_eq!(
            poll(pin!(a.unless_given_up(ready(Ok(7))))),
            Poll::Ready(Ok(7)),
            "what is done is done"
        );
        drop((a, b));
        let d = pins.pin(&groups[3]);
        assert_eq!([&c, &d].map(gave_up), [false; 2]);
        let e = pins.pin(&groups[4]);
        assert_eq!([&c, &d, &e].map(gave_up), [true, false, false]);
        drop((c, d, e));
        assert_eq!((on_their_way(), pins.lock().live.len()), (0, 0));
    }

    #[test]
    fn the_oldest_group_that_waits_makes_way_for_bytes() {
        let (pins, groups) = table(100, 10, &[500, 60, 40, 30, 30]);
        let waiting = || (pins.held.get(Gauge::Unsent), pins.lock().bytes);
        let [flows, a, b, c, d] = [0, 1, 2, 3, 4].map(|at| pins.pin(&groups[at]));
        let mut a_blocked = Box::pin(a.blocked(0, pending::<()>()));
        assert!(poll(a_blocked.as_mut()).is_pending());
        let mut b_blocked = Box::pin(b.blocked(0, pending::<()>()));
        assert!(poll(b_blocked.as_mut()).is_pending());
        assert_eq!(waiting(), (100, 100), "just as much as may wait");
        assert_eq!([&flows, &a, &b].map(gave_up), [false; 3]);
        let mut c_blocked = Box::pin(c.blocked(20, pending::<()>()));
        assert!(poll(c_blocked.as_mut()).is_pending());
        assert_eq!(
            [&flows, &a, &b, &c].map(gave_up),
            [false, true, false, false]
        );
        assert_eq!(waiting(), (50, 50), "of the last, 20 are sent");
        assert!(poll(a_blocked.as_mut()).is_pending());
        assert_eq!(waiting(), (50, 50), "given up, it no longer counts");
        assert!(poll(pin!(d.blocked(0, ready(())))).is_ready());
        assert_eq!(waiting(), (50, 50), "not blocked");
        drop((a_blocked, b_blocked, c_blocked));
        drop((a, b, c));
        assert_eq!(waiting(), (0, 0));
    }

    #[test]
    fn a_group_that_alone_is_too_much_is_left_to_the_cache() {
        let (pins, groups) = table(100, 10, &[500, 1]);
        let [large, small] = [0, 1].map(|at| pins.pin(&groups[at]));
        {
            let mut blocked = pin!(large.blocked(0, pending::<()>()));
            assert!(poll(blocked.as_mut()).is_pending());
            assert!(!gave_up(&large));
            let mut blocked = pin!(small.blocked(0, pending::<()>()));
            assert!(poll(blocked.as_mut()).is_pending());
        }
        assert_eq!([&large, &small].map(gave_up), [true, false]);
        assert_eq!(pins.held.get(Gauge::Unsent), 1);
    }
}
