//! Every interleaving of two threads over one channel. A lost wake-up shows as a deadlock, which
//! loom reports; an `assert` shows the rest.

use std::task::Poll;

use ::loom::future::block_on;
use ::loom::model;
use ::loom::model::Builder;
use ::loom::thread::spawn;

use crate::{Closed, Consumer, Mut, Producer, Ref, Shared, Waiter, WaiterList, wait};

fn set(producer: &Producer<u32>, value: u32) {
    *producer.write().ok().expect("open") = value;
}

fn at_least(floor: u32) -> impl FnMut(&Ref<'_, u32>) -> Poll<u32> {
    move |value| {
        if **value >= floor {
            Poll::Ready(**value)
        } else {
            Poll::Pending
        }
    }
}

fn reach(consumer: &Consumer<u32>, floor: u32) -> Result<u32, Closed> {
    block_on(consumer.wait(at_least(floor)))
}

#[test]
fn change_between_check_and_registration_is_heard() {
    model(|| {
        let producer = Producer::new(0);
        let consumer = producer.consume();
        let reader = spawn(move || reach(&consumer, 1));
        set(&producer, 1);
        assert_eq!(reader.join().expect("reader"), Ok(1));
    });
}

#[test]
fn second_change_is_heard_by_the_registration_that_replaced_the_first() {
    model(|| {
        let producer = Producer::new(0);
        let consumer = producer.consume();
        let reader = spawn(move || reach(&consumer, 2));
        set(&producer, 1);
        set(&producer, 2);
        assert_eq!(reader.join().expect("reader"), Ok(2));
    });
}

#[test]
fn last_drop_is_heard_by_value_and_closed_waits() {
    model(|| {
        let producer = Producer::new(0);
        let consumer = producer.consume();
        let reader = spawn(move || {
            assert_eq!(reach(&consumer, 1), Err(Closed));
        });
        drop(producer);
        reader.join().expect("reader");
    });
    model(|| {
        let producer = Producer::new(0);
        let consumer = producer.consume();
        let reader = spawn(move || block_on(consumer.closed()));
        drop(producer);
        reader.join().expect("reader");
    });
}

#[test]
fn value_written_before_the_last_drop_beats_the_end() {
    model(|| {
        let producer = Producer::new(0);
        let consumer = producer.consume();
        let reader = spawn(move || reach(&consumer, 1));
        set(&producer, 1);
        drop(producer);
        assert_eq!(reader.join().expect("reader"), Ok(1));
    });
}

#[test]
fn two_last_producers_close_exactly_once() {
    model(|| {
        let producer = Producer::new(0);
        let second = producer.clone();
        let consumer = producer.consume();
        let other = spawn(move || drop(second));
        drop(producer);
        block_on(consumer.closed());
        other.join().expect("other");
        assert!(consumer.is_closed());
    });
}

#[test]
fn last_consumer_leaving_between_check_and_registration_is_heard() {
    model(|| {
        let producer = Producer::new(0);
        let consumer = producer.consume();
        let reader = spawn(move || drop(consumer));
        assert_eq!(block_on(producer.unused()), Ok(()));
        reader.join().expect("reader");
    });
}

#[test]
fn two_last_consumers_leave_nobody_waiting_for_unused() {
    model(|| {
        let producer = Producer::new(0);
        let first = producer.consume();
        let second = first.clone();
        let readers = [spawn(move || drop(first)), spawn(move || drop(second))];
        assert_eq!(block_on(producer.unused()), Ok(()));
        for reader in readers {
            reader.join().expect("reader");
        }
    });
}

#[test]
fn first_consumer_between_check_and_registration_is_heard() {
    model(|| {
        let producer = Producer::new(0);
        let weak = producer.downgrade();
        let reader = spawn(move || weak.consume());
        assert_eq!(block_on(producer.used()), Ok(()));
        drop(reader.join().expect("reader"));
        assert_eq!(producer.poll_unused(&Waiter::noop()), Poll::Ready(Some(())));
    });
}

#[test]
fn close_ends_waits_for_the_count() {
    model(|| {
        let producer = Producer::new(0);
        let consumer = producer.consume();
        let second = producer.clone();
        let closer = spawn(move || second.close());
        assert_eq!(block_on(producer.unused()), Err(Closed));
        closer.join().expect("closer");
        drop(consumer);
    });
}

#[test]
fn upgrade_racing_with_the_last_drop_gives_an_open_channel_or_none() {
    model(|| {
        let producer = Producer::new(0);
        let weak = producer.downgrade();
        let consumer = producer.consume();
        let upgrade = spawn(move || match weak.produce() {
            Some(producer) => {
                assert!(!producer.is_closed());
                set(&producer, 1);
                true
            }
            None => {
                assert!(weak.is_closed());
                false
            }
        });
        drop(producer);
        let upgraded = upgrade.join().expect("upgrade");
        assert!(consumer.is_closed(), "no producer is left");
        assert_eq!(*consumer.read(), u32::from(upgraded));
    });
}

#[test]
fn write_racing_with_close_succeeds_or_finds_the_final_value() {
    model(|| {
        let producer = Producer::new(0);
        let second = producer.clone();
        let consumer = producer.consume();
        let writer = spawn(move || match second.write() {
            Ok(mut value) => {
                *value = 1;
                true
            }
            Err(last) => {
                assert!(last.is_closed());
                false
            }
        });
        producer.write().ok().map(Mut::close);
        let seen = *consumer.read();
        let written = writer.join().expect("writer");
        assert_eq!(seen, u32::from(written));
        assert_eq!(*consumer.read(), seen, "nothing changes after the end");
    });
}

#[test]
fn access_granted_by_a_predicate_cannot_be_taken_twice() {
    let full = |value: &Ref<'_, u32>| match **value {
        0 => Poll::Pending,
        _ => Poll::Ready(()),
    };
    model(move || {
        let producer = Producer::new(1);
        let second = producer.clone();
        let take = move |producer: &Producer<u32>| match producer.poll(&Waiter::noop(), full) {
            Poll::Ready(Ok(mut value)) => {
                *value -= 1;
                1
            }
            _ => 0,
        };
        let other = spawn(move || take(&second));
        let taken = take(&producer) + other.join().expect("other");
        assert_eq!(taken, 1);
    });
}

#[test]
fn wait_over_two_channels_hears_both() {
    // Two writes against two looks are too many orders to try them all in a minute; no bug of two
    // threads is known to need more than three preemptions.
    let mut bounded = Builder::new();
    bounded.preemption_bound = Some(3);
    bounded.check(|| {
        let (left, right) = (Producer::new(0), Producer::new(0));
        let consumers = [left.consume(), right.consume()];
        let reader = spawn(move || {
            block_on(wait(|waiter| {
                let missing = consumers
                    .iter()
                    .filter(|consumer| consumer.poll(waiter, at_least(1)).is_pending())
                    .count();
                if missing == 0 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }));
        });
        set(&left, 1);
        set(&right, 1);
        reader.join().expect("reader");
    });
}

#[test]
fn explicit_registration_hears_a_change_made_after_it() {
    model(|| {
        let producer = Producer::new(0);
        let consumer = producer.consume();
        let reader = spawn(move || {
            block_on(wait(|waiter| {
                // Register first, look later: the way of those who aggregate.
                consumer.register(waiter);
                if *consumer.read() == 1 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }));
        });
        set(&producer, 1);
        reader.join().expect("reader");
    });
}

#[test]
fn shared_value_changed_between_check_and_registration_is_heard() {
    model(|| {
        let shared = Shared::new(0);
        let other = shared.clone();
        let reader = spawn(move || {
            block_on(wait(|waiter| {
                other.poll(waiter, |value| match value {
                    0 => Poll::Pending,
                    _ => Poll::Ready(()),
                })
            }));
        });
        *shared.lock() = 1;
        reader.join().expect("reader");
    });
}

#[test]
fn waiter_dropped_while_the_list_is_woken_costs_the_others_nothing() {
    model(|| {
        let producer = Producer::new(0);
        let consumer = producer.consume();
        let leaving = Waiter::noop();
        assert!(consumer.poll(&leaving, at_least(1)).is_pending());
        let stays = producer.consume();
        let reader = spawn(move || {
            drop(leaving);
            reach(&stays, 1)
        });
        set(&producer, 1);
        assert_eq!(reader.join().expect("reader"), Ok(1));
    });
}

#[test]
fn slot_of_a_waiter_that_is_just_dying_is_reused_without_losing_the_new_one() {
    model(|| {
        let mut list = WaiterList::new();
        let old = Waiter::noop();
        old.register(&mut list);
        let dying = spawn(move || drop(old));
        let kept = Waiter::noop();
        kept.register(&mut list);
        assert!(list.len() <= 2);
        dying.join().expect("dying");
        kept.register(&mut list);
        assert_eq!(list.len(), 1);
    });
}
