//! The send order of group streams.

use std::task::Poll;

use kio::{Shared, Waiter};

use crate::{Error, Result};

/// Bits that say which group of its subscription a stream carries.
const GROUP_BITS: u32 = 12;
/// Bits that say which subscription it belongs to.
const ID_BITS: u32 = 10;
/// The largest position of a group before the base moves.
const SPAN: u64 = (1 << GROUP_BITS) - 1;

/// What the order of the group streams of one subscription depends on. Shared by all of them.
///
/// Streams go by the subscriber's priority, then the older subscription, then the newer group, or the older one where the
/// subscriber wants them in order. Those three are packed into one
/// number below that of control streams; sequences count from a base that moves along.
#[derive(Clone)]
pub(super) struct Order {
    state: Shared<State>,
}

#[derive(Debug)]
struct State {
    priority: u8,
    ordered: bool,
    id: u64,
    base: u64,
    /// Why groups that are not complete end.
    ended: Option<Error>,
}

impl Order {
    pub(super) fn new(id: u64, priority: u8, ordered: bool) -> Self {
        let base = 0;
        Self {
            state: Shared::new(State {
                priority,
                ordered,
                id,
                base,
                ended: None,
            }),
        }
    }

    /// Changes what the subscription wants, and with it the order of its open streams.
    pub(super) fn set(&self, priority: u8, ordered: bool) {
        let current = {
            let state = self.state.lock();
            (state.priority, state.ordered)
        };
        if current != (priority, ordered) {
            let mut state = self.state.lock();
            (state.priority, state.ordered) = (priority, ordered);
        }
    }

    /// Whether older groups go first.
    pub(super) fn is_ordered(&self) -> bool {
        self.state.lock().ordered
    }

    /// Makes room for `sequence` to be told from its neighbours.
    pub(super) fn reach(&self, sequence: u64) {
        let base = self.state.lock().base;
        if sequence.saturating_sub(base) > SPAN {
            self.state.lock().base = sequence - SPAN / 2;
        }
    }

    /// The order of the stream of group `sequence`.
    pub(super) fn of(&self, sequence: u64) -> i32 {
        self.state.lock().order(sequence)
    }

    /// The subscription failed: streams that wait for more end with `error`.
    pub(super) fn end(&self, error: Error) {
        self.state.lock().ended = Some(error);
    }

    /// Ready once the order of group `sequence` is not `last` any more.
    ///
    /// # Errors
    /// Why the subscription failed.
    pub(super) fn poll_changed(
        &self,
        waiter: &Waiter,
        sequence: u64,
        last: i32,
    ) -> Poll<Result<i32>> {
        self.state.poll(waiter, |state| match &state.ended {
            Some(error) => Poll::Ready(Err(error.clone())),
            None if state.order(sequence) == last => Poll::Pending,
            None => Poll::Ready(Ok(state.order(sequence))),
        })
    }
}

/// The order of a fetched group: before the groups of subscriptions with the same priority, since somebody waits for it.
pub(super) fn of_fetch(priority: u8) -> i32 {
    pack(priority, 0, SPAN)
}

impl State {
    fn order(&self, sequence: u64) -> i32 {
        let newer = sequence.saturating_sub(self.base).min(SPAN);
        let rank = match self.ordered {
            true => SPAN - newer,
            false => newer,
        };
        pack(self.priority, self.id, rank)
    }
}

fn pack(priority: u8, id: u64, rank: u64) -> i32 {
    let last_id = (1_u64 << ID_BITS) - 1;
    let older = last_id - id.min(last_id);
    let packed = (u64::from(priority) << (ID_BITS + GROUP_BITS)) | (older << GROUP_BITS) | rank;
    i32::try_from(packed).expect("30 bits fit")
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn priority_comes_first_then_the_older_subscription_then_the_newer_group() {
        let low = Order::new(0, 1, false);
        let high = Order::new(9, 2, false);
        let younger = Order::new(10, 2, false);
        assert!(high.of(0) > low.of(4000));
        assert!(high.of(0) > younger.of(4000));
        assert!(high.of(8) > high.of(7));
        assert!(
            Order::new(0, 255, false).of(u64::MAX) < super::super::super::session::CONTROL_ORDER
        );
    }

    #[test]
    fn newer_groups_stay_first_however_far_the_track_is() {
        let order = Order::new(0, 0, false);
        for start in [4_000, 1 << 40, u64::MAX - 20] {
            for sequence in start..start + 10 {
                order.reach(sequence + 1);
                assert!(order.of(sequence + 1) > order.of(sequence), "{sequence}");
            }
        }
    }

    #[test]
    fn older_groups_go_first_where_that_is_wanted() {
        let order = Order::new(0, 0, true);
        for start in [0, 4_000, 1 << 40, u64::MAX - 20] {
            for sequence in start..start + 10 {
                order.reach(sequence + 1);
                assert!(order.of(sequence + 1) < order.of(sequence), "{sequence}");
            }
        }
        let last = order.of(7);
        order.set(0, false);
        let changed = order.poll_changed(&Waiter::noop(), 7, last);
        assert!(changed.is_ready());
    }

    #[test]
    fn open_streams_learn_of_a_new_priority() {
        let order = Order::new(3, 1, false);
        let last = order.of(5);
        assert!(order.poll_changed(&Waiter::noop(), 5, last).is_pending());
        order.set(7, false);
        let Poll::Ready(Ok(next)) = order.poll_changed(&Waiter::noop(), 5, last) else {
            panic!("no change seen");
        };
        assert!(next > last);
    }
}
