//! How long lists of waiters get.
#![cfg(not(loom))]

mod support;

use std::collections::VecDeque;

use kio::{Waiter, WaiterList};
use support::Counter;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Enough to see a leak; Miri runs some hundred times slower and looks for something else.
const MANY: usize = if cfg!(miri) { 500 } else { 10_000 };

#[test]
fn a_task_that_polls_for_ever_takes_one_place() {
    let mut list = WaiterList::new();
    assert!(list.is_empty());
    for _ in 0..MANY {
        Waiter::noop().register(&mut list);
        assert_eq!(list.len(), 1);
    }
}

#[test]
fn a_waiter_registered_again_takes_no_second_place() {
    let mut list = WaiterList::new();
    let counter = Counter::new();
    let waiter = counter.waiter();
    for _ in 0..1_000 {
        waiter.register(&mut list);
        waiter.clone().register(&mut list);
    }
    assert_eq!(list.len(), 1);
    list.take().wake();
    assert!(list.is_empty());
    assert_eq!(counter.count(), 1);
}

#[test]
fn a_waiter_registered_again_and_again_among_others_is_bounded_too() {
    let mut list = WaiterList::new();
    let parked: Vec<_> = (0..100).map(|_| Waiter::noop()).collect();
    for waiter in &parked {
        waiter.register(&mut list);
    }
    let waiter = Waiter::noop();
    for _ in 0..MANY {
        waiter.register(&mut list);
        assert!(list.len() <= 2 * (parked.len() + 1), "{}", list.len());
    }
}

#[test]
fn one_poller_among_parked_waiters_keeps_the_list_below_twice_the_living() {
    let mut list = WaiterList::new();
    let parked: Vec<_> = (0..100).map(|_| Waiter::noop()).collect();
    for waiter in &parked {
        waiter.register(&mut list);
    }
    for _ in 0..MANY {
        Waiter::noop().register(&mut list);
        assert!(list.len() <= 2 * (parked.len() + 1), "{}", list.len());
    }
}

#[test]
fn dead_entries_of_a_crowd_are_reclaimed_by_those_who_stay() {
    let mut list = WaiterList::new();
    let crowd: Vec<_> = (0..1_000).map(|_| Waiter::noop()).collect();
    for waiter in &crowd {
        waiter.register(&mut list);
    }
    drop(crowd);
    // Two looks, one entry of its own: every registration shortens the list.
    for _ in 0..1_000 {
        Waiter::noop().register(&mut list);
    }
    assert_eq!(list.len(), 1);
}

/// Lists under the orders of death that a clean-up could dislike: who dies next is chosen by `pick`
/// out of `living` waiters, at a constant population.
fn longest(living: usize, mut pick: impl FnMut(usize) -> usize) -> usize {
    let mut list = WaiterList::new();
    let mut waiters: VecDeque<_> = VecDeque::new();
    let mut longest = 0;
    for _ in 0..50 * living {
        // The newcomer lives before the one that leaves is gone, so `living` is the most at once.
        let waiter = Waiter::noop();
        waiter.register(&mut list);
        waiters.push_back(waiter);
        longest = longest.max(list.len());
        if waiters.len() == living {
            waiters.remove(pick(living));
        }
    }
    longest
}

#[test]
fn no_order_of_death_makes_the_list_longer_than_twice_the_living() {
    // Miri runs some hundred times slower and looks for something else.
    let crowds: &[usize] = if cfg!(miri) {
        &[1, 2, 5]
    } else {
        &[1, 2, 3, 5, 16, 100, 333]
    };
    for &living in crowds {
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random % 1_000_003).expect("small")
        };
        let mut turn = 0;
        let worst = [
            longest(living, |_| 0),
            longest(living, |n| n - 1),
            longest(living, |n| n / 2),
            longest(living, |n| n / 3),
            longest(living, |n| next() % n),
            longest(living, |n| {
                turn += 1;
                if turn / n % 2 == 0 { 0 } else { n - 1 }
            }),
        ];
        for length in worst {
            assert!(length <= 2 * living, "{length} entries for {living} living");
        }
    }
}

#[test]
fn a_list_knows_how_many_wait() {
    let mut list = WaiterList::new();
    let waiters: Vec<_> = (0..5).map(|_| Waiter::noop()).collect();
    for (waiting, waiter) in waiters.iter().enumerate() {
        assert_eq!((list.len(), list.is_empty()), (waiting, waiting == 0));
        waiter.register(&mut list);
    }
    assert_eq!(list.take().len(), 5);
    assert_eq!((list.len(), list.is_empty()), (0, true));
}

#[test]
fn dropped_waiters_are_not_woken_and_the_others_are_woken_once() {
    let mut list = WaiterList::new();
    let (kept, dropped) = (Counter::new(), Counter::new());
    let mut waiters = Vec::new();
    for n in 0..20 {
        let counter = if n % 3 == 0 { &dropped } else { &kept };
        let waiter = counter.waiter();
        waiter.register(&mut list);
        if n % 3 != 0 {
            waiters.push(waiter);
        }
    }
    let taken = list.take();
    assert!(list.is_empty());
    taken.wake();
    assert_eq!((kept.count(), dropped.count()), (13, 0));
}

#[test]
fn waiter_gives_back_its_waker() {
    let counter = Counter::new();
    counter.waiter().waker().wake_by_ref();
    assert_eq!(counter.count(), 1);
}
