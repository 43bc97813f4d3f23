//! Who is woken by what, and what a closed channel still tells.
#![cfg(not(loom))]

mod support;

use std::task::Poll;

use kio::{Closed, Producer, Shared};
use support::{Counter, Task};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn at_least(floor: u32) -> impl Fn(&kio::Ref<'_, u32>) -> Poll<u32> {
    move |value| {
        if **value >= floor {
            Poll::Ready(**value)
        } else {
            Poll::Pending
        }
    }
}

fn add(producer: &Producer<u32>) {
    let Ok(mut value) = producer.write() else {
        panic!("closed");
    };
    *value += 1;
}

#[test]
fn value_writes_do_not_wake_unused() {
    let producer = Producer::new(0);
    let consumer = producer.consume();
    let mut unused = Task::parked(producer.unused());
    for _ in 0..100 {
        add(&producer);
    }
    assert_eq!(unused.wakes(), 0);
    drop(consumer);
    assert!(unused.wakes() >= 1);
    assert_eq!(unused.poll(), Poll::Ready(Ok(())));
}

#[test]
fn only_the_last_of_several_consumers_wakes_unused() {
    let producer = Producer::new(0);
    let first = producer.consume();
    let second = first.clone();
    let mut unused = Task::parked(producer.unused());
    drop(first);
    assert_eq!(unused.wakes(), 0);
    drop(second);
    assert_eq!(unused.wakes(), 1);
    assert_eq!(unused.poll(), Poll::Ready(Ok(())));
}

#[test]
fn first_consumer_wakes_used_and_further_ones_do_not() {
    let producer = Producer::new(0);
    let mut used = Task::parked(producer.used());
    let consumer = producer.consume();
    assert_eq!(used.wakes(), 1);
    assert_eq!(used.poll(), Poll::Ready(Ok(())));

    let unused = Task::parked(producer.unused());
    let more = [producer.consume(), consumer.clone()];
    drop(more);
    assert_eq!(unused.wakes(), 0);
    drop(consumer);
    assert_eq!(unused.wakes(), 1);
}

#[test]
fn value_writes_do_not_wake_closed() {
    let producer = Producer::new(0);
    let consumer = producer.consume();
    let mut reader = Task::parked(consumer.closed());
    let mut writer = Task::parked(producer.closed());
    for _ in 0..100 {
        add(&producer);
    }
    assert_eq!((reader.wakes(), writer.wakes()), (0, 0));
    producer.close();
    assert_eq!((reader.wakes(), writer.wakes()), (1, 1));
    assert_eq!(reader.poll(), Poll::Ready(()));
    assert_eq!(writer.poll(), Poll::Ready(()));
}

#[test]
fn consumers_coming_and_going_wake_neither_value_nor_closed() {
    let producer = Producer::new(0);
    let weak = producer.downgrade();
    let value = Task::parked(producer.wait(|_| Poll::Pending));
    let closed = Task::parked(producer.closed());
    for _ in 0..100 {
        let consumer = weak.consume();
        drop(consumer);
    }
    assert_eq!((value.wakes(), closed.wakes()), (0, 0));
}

#[test]
fn every_change_wakes_value_waiters_once_each_time_they_wait() {
    let producer = Producer::new(0);
    let consumer = producer.consume();
    let mut value = Task::parked(consumer.wait(at_least(100)));
    for n in 1..100 {
        add(&producer);
        assert_eq!(value.wakes(), n);
        assert_eq!(value.poll(), Poll::Pending);
    }
    add(&producer);
    assert_eq!(value.poll(), Poll::Ready(Ok(100)));
}

#[test]
fn close_resolves_value_closed_and_unused() {
    let producer = Producer::new(0);
    let consumer = producer.consume();
    let mut value = Task::parked(consumer.wait(at_least(1)));
    let mut gate = Task::parked(producer.wait(|_| Poll::Pending));
    let mut closed = Task::parked(consumer.closed());
    let mut unused = Task::parked(producer.unused());
    producer.close();
    assert_eq!(value.poll(), Poll::Ready(Err(Closed)));
    assert_eq!(gate.poll(), Poll::Ready(Err(Closed)));
    assert_eq!(closed.poll(), Poll::Ready(()));
    assert_eq!(unused.poll(), Poll::Ready(Err(Closed)));
    for wakes in [value.wakes(), gate.wakes(), closed.wakes(), unused.wakes()] {
        assert_eq!(wakes, 1);
    }

    let lonely = Producer::new(0);
    let mut used = Task::parked(lonely.used());
    lonely.close();
    assert_eq!(used.wakes(), 1);
    assert_eq!(used.poll(), Poll::Ready(Err(Closed)));
}

#[test]
fn last_producer_closes_and_earlier_ones_do_not() {
    let producer = Producer::new(0);
    let consumer = producer.consume();
    let second = producer.clone();
    let mut closed = Task::parked(consumer.closed());
    drop(producer);
    assert!(!consumer.is_closed());
    assert!(!second.is_closed());
    assert_eq!(closed.wakes(), 0);
    drop(second);
    assert!(consumer.is_closed());
    assert!(consumer.read().is_closed());
    assert_eq!(closed.wakes(), 1);
    assert_eq!(closed.poll(), Poll::Ready(()));
}

#[test]
fn producer_poll_gives_access_under_the_lock_of_its_check() {
    let producer = Producer::new(0);
    let counter = Counter::new();
    let waiter = counter.waiter();
    let full = |value: &kio::Ref<'_, u32>| match **value {
        0 => Poll::Pending,
        _ => Poll::Ready(()),
    };
    assert!(producer.poll(&waiter, full).is_pending());
    assert_eq!(counter.count(), 0, "a poll that finds nothing wakes nobody");

    add(&producer);
    assert_eq!(counter.count(), 1);
    let Poll::Ready(Ok(mut value)) = producer.poll(&waiter, full) else {
        panic!("not ready");
    };
    *value -= 1;
    drop(value);
    assert_eq!(*producer.read(), 0);
    assert_eq!(counter.count(), 1, "a ready poll registers nothing");
}

#[test]
fn producer_poll_of_a_closed_channel_does_not_ask() {
    let producer = Producer::new(7);
    producer.close();
    let result = producer.poll(&Counter::new().waiter(), |_| panic!("asked"));
    let Poll::Ready(Err(last)) = result else {
        panic!("open");
    };
    assert_eq!(*last, 7);
}

#[test]
fn value_written_before_the_last_drop_reaches_a_late_reader() {
    let producer = Producer::new(0);
    let consumer = producer.consume();
    add(&producer);
    drop(producer);
    let mut late = Task::new(consumer.wait(at_least(1)));
    assert_eq!(late.poll(), Poll::Ready(Ok(1)));
    let mut more = Task::new(consumer.wait(at_least(2)));
    assert_eq!(more.poll(), Poll::Ready(Err(Closed)));
}

#[test]
fn closed_consumer_poll_hands_out_the_final_value() {
    let producer = Producer::new(3);
    let consumer = producer.consume();
    drop(producer);
    let counter = Counter::new();
    let Poll::Ready(Err(last)) = consumer.poll(&counter.waiter(), at_least(9)) else {
        panic!("open");
    };
    assert_eq!(*last, 3);
    assert!(last.is_closed());
}

#[test]
fn weak_upgrades_only_while_open_and_always_reads() {
    let producer = Producer::new(5);
    let weak = producer.downgrade();
    let second = weak.produce().expect("open");
    assert!(second.same_channel(&producer));
    drop(producer);
    assert!(!weak.is_closed(), "the upgraded producer holds it open");
    drop(second);
    assert!(weak.is_closed());
    assert!(weak.produce().is_none());
    let reader = weak.consume();
    assert_eq!(*reader.read(), 5);
    assert!(reader.is_closed());
    assert!(reader.downgrade().same_channel(&weak));
}

#[test]
fn weak_does_not_upgrade_after_an_explicit_close() {
    let producer = Producer::new(5);
    let weak = producer.downgrade();
    producer.close();
    assert!(weak.produce().is_none());
}

#[test]
fn weak_handles_count_neither_as_producer_nor_as_consumer() {
    let producer = Producer::new(0);
    let weak = producer.consume().downgrade();
    let waiter = Counter::new().waiter();
    assert_eq!(producer.poll_unused(&waiter), Poll::Ready(Some(())));
    drop(producer);
    assert!(weak.clone().is_closed());
}

#[test]
fn poll_unused_and_poll_used_follow_the_count_until_close() {
    let producer = Producer::new(0);
    let counter = Counter::new();
    let waiter = counter.waiter();
    assert_eq!(producer.poll_unused(&waiter), Poll::Ready(Some(())));
    assert_eq!(producer.poll_used(&waiter), Poll::Pending);
    assert!(!producer.is_used());

    let consumer = producer.consume();
    assert_eq!(counter.count(), 1);
    assert!(producer.is_used());
    assert_eq!(producer.poll_used(&waiter), Poll::Ready(Some(())));
    assert_eq!(producer.poll_unused(&waiter), Poll::Pending);

    drop(consumer);
    assert_eq!(counter.count(), 2);
    assert_eq!(producer.poll_unused(&waiter), Poll::Ready(Some(())));
    assert!(!producer.is_used());

    producer.close();
    assert!(producer.is_closed());
    assert_eq!(producer.poll_unused(&waiter), Poll::Ready(None));
    assert_eq!(producer.poll_used(&waiter), Poll::Ready(None));
}

#[test]
fn close_is_idempotent_and_later_writes_read_the_final_value() {
    let producer = Producer::new(1);
    let consumer = producer.consume();
    let Ok(mut value) = producer.write() else {
        panic!("closed");
    };
    *value = 2;
    value.close();
    let counter = Counter::new();
    let waiter = counter.waiter();
    assert_eq!(consumer.poll_closed(&waiter), Poll::Ready(()));

    producer.close();
    producer.close();
    let Err(last) = producer.write() else {
        panic!("open");
    };
    assert_eq!(*last, 2);
    drop(last);
    drop(producer);
    assert_eq!(*consumer.read(), 2);
    assert_eq!(counter.count(), 0);
}

#[test]
fn write_access_that_only_reads_wakes_nobody() {
    let producer = Producer::new(4);
    let value = Task::parked(producer.wait(|_| Poll::Pending));
    for _ in 0..100 {
        let Ok(access) = producer.write() else {
            panic!("closed");
        };
        assert_eq!(*access, 4);
    }
    assert_eq!(value.wakes(), 0);
}

#[test]
fn explicit_registration_hears_the_next_change_and_the_end() {
    let producer = Producer::new(0);
    let consumer = producer.consume();
    let counter = Counter::new();
    let waiter = counter.waiter();
    // A ready answer registers nothing: whoever goes on to wait for other channels says so itself.
    assert_eq!(
        consumer.poll(&waiter, at_least(0)).map(Result::ok),
        Poll::Ready(Some(0))
    );
    add(&producer);
    assert_eq!(counter.count(), 0);
    consumer.register(&waiter);
    add(&producer);
    assert_eq!(counter.count(), 1);
    consumer.register(&waiter);
    drop(producer);
    assert_eq!(counter.count(), 2);
}

#[test]
fn one_waiter_waits_in_many_channels() {
    let channels: Vec<_> = (0..10).map(|_| Producer::new(0)).collect();
    let counter = Counter::new();
    let waiter = counter.waiter();
    for channel in &channels {
        assert!(channel.consume().poll(&waiter, at_least(1)).is_pending());
    }
    for channel in &channels {
        add(channel);
    }
    assert_eq!(counter.count(), 10);
}

#[test]
fn the_end_of_a_channel_can_be_told_to_people() {
    let producer = Producer::new(0);
    producer.close();
    let mut unused = Task::new(producer.unused());
    let Poll::Ready(Err(closed)) = unused.poll() else {
        panic!("closed");
    };
    assert_eq!(closed.to_string(), "channel closed");
}

#[test]
fn handles_know_their_channel() {
    let one = Producer::new(0);
    let other = Producer::<u32>::default();
    assert!(one.same_channel(&one.clone()));
    assert!(!one.same_channel(&other));
    assert!(one.consume().same_channel(&one.downgrade().consume()));
    assert!(!one.consume().same_channel(&other.consume()));
    assert!(!one.downgrade().same_channel(&other.downgrade()));
}

#[test]
fn shared_value_wakes_only_when_it_was_borrowed_mutably() {
    let shared = Shared::new(vec![1]);
    let counter = Counter::new();
    let waiter = counter.waiter();
    let long = |value: &Vec<i32>| match value.len() {
        ..3 => Poll::Pending,
        length => Poll::Ready(length),
    };
    assert_eq!(shared.poll(&waiter, long), Poll::Pending);
    assert_eq!(shared.lock().len(), 1);
    assert_eq!(counter.count(), 0);

    let other = shared.clone();
    assert!(shared.same(&other));
    assert!(!shared.same(&Shared::default()));
    other.lock().push(2);
    assert_eq!(counter.count(), 1);
    assert_eq!(shared.poll(&waiter, long), Poll::Pending);
    other.lock().push(3);
    assert_eq!(counter.count(), 2);
    assert_eq!(shared.poll(&waiter, long), Poll::Ready(3));
}

// A panic on wasm ends the instance, so there is nothing to survive there.
#[cfg(not(target_family = "wasm"))]
#[test]
fn a_panicking_predicate_leaves_the_channel_usable() {
    let producer = Producer::new(0);
    let consumer = producer.consume();
    let waiter = Counter::new().waiter();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = consumer.poll::<()>(&waiter, |_| panic!("on purpose"));
    }));
    assert!(panicked.is_err());
    add(&producer);
    assert_eq!(*consumer.read(), 1);
}
