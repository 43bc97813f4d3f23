//! Operations under way: who keeps the waiter, and the two deadlocks that follow when nobody does.
#![cfg(not(loom))]

mod support;

use std::future::Future as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use kio::{Consumer, Pending, Producer, Shared, Waiter};
use support::{Counter, Task};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Resolves with the value once it reaches `floor`.
struct Reach {
    value: Consumer<u32>,
    floor: u32,
}

impl Reach {
    fn new(producer: &Producer<u32>, floor: u32) -> Self {
        Self {
            value: producer.consume(),
            floor,
        }
    }

    fn lower(&mut self, floor: u32) {
        self.floor = floor;
    }

    const fn floor(&self) -> u32 {
        self.floor
    }
}

impl kio::Future for Reach {
    type Output = Option<u32>;

    fn poll(&self, waiter: &Waiter) -> Poll<Option<u32>> {
        let reached = self.value.poll(waiter, |value| {
            if **value >= self.floor {
                Poll::Ready(**value)
            } else {
                Poll::Pending
            }
        });
        reached.map(Result::ok)
    }
}

fn set(producer: &Producer<u32>, to: u32) {
    let Ok(mut value) = producer.write() else {
        panic!("closed");
    };
    *value = to;
}

#[test]
fn method_of_a_pending_operation_changes_what_the_next_poll_asks() {
    let producer = Producer::new(5);
    let mut task = Task::parked(Pending::new(Reach::new(&producer, 10)));
    task.get_mut().lower(5);
    assert_eq!(task.get_mut().floor(), 5);
    assert_eq!(task.poll(), Poll::Ready(Some(5)));
}

#[test]
fn pending_operation_is_polled_through_a_shared_borrow() {
    let producer = Producer::new(0);
    let pending = Pending::new(Reach::new(&producer, 1));
    let borrowed: &Pending<Reach> = &pending;
    let counter = Counter::new();
    let waiter = counter.waiter();
    assert_eq!(kio::Future::poll(&**borrowed, &waiter), Poll::Pending);
    set(&producer, 1);
    assert_eq!(counter.count(), 1);
    assert_eq!(
        kio::Future::poll(&**borrowed, &waiter),
        Poll::Ready(Some(1))
    );
}

#[test]
fn pending_operation_may_be_polled_after_it_resolved() {
    let producer = Producer::new(1);
    let mut task = Task::new(Pending::new(Reach::new(&producer, 1)));
    assert_eq!(task.poll(), Poll::Ready(Some(1)));
    set(&producer, 2);
    assert_eq!(task.poll(), Poll::Ready(Some(2)));
    assert_eq!(task.wakes(), 0, "resolved: nothing is awaited any more");
}

#[test]
fn dropped_pending_is_never_woken_and_counts_as_reader_no_more() {
    let producer = Producer::new(0);
    let counter = Counter::new();
    let waker = Waker::from(counter.clone());
    let mut pending = Pending::new(Reach::new(&producer, 1));
    let polled = Pin::new(&mut pending).poll(&mut Context::from_waker(&waker));
    assert_eq!(polled, Poll::Pending);
    assert_eq!(producer.poll_unused(&Waiter::noop()), Poll::Pending);
    drop(pending);
    set(&producer, 1);
    producer.close();
    assert_eq!(counter.count(), 0);
    let next = Producer::new(0);
    drop(Pending::new(Reach::new(&next, 1)));
    assert_eq!(
        next.poll_unused(&Waiter::noop()),
        Poll::Ready(Some(())),
        "the reader went with the operation"
    );
}

#[test]
fn unwrapped_pending_is_no_longer_woken_but_goes_on_elsewhere() {
    let producer = Producer::new(0);
    let counter = Counter::new();
    let waker = Waker::from(counter.clone());
    let mut pending = Pending::new(Reach::new(&producer, 1));
    let mut cx = Context::from_waker(&waker);
    assert!(Pin::new(&mut pending).poll(&mut cx).is_pending());
    let mut task = Task::parked(Pending::new(pending.into_inner()));
    set(&producer, 1);
    assert_eq!((counter.count(), task.wakes()), (0, 1));
    assert_eq!(task.poll(), Poll::Ready(Some(1)));
}

#[test]
fn only_the_waker_of_the_latest_poll_is_woken() {
    let producer = Producer::new(0);
    let counters = [Counter::new(), Counter::new()];
    let mut pending = Pending::new(Reach::new(&producer, 1));
    for counter in &counters {
        let waker = Waker::from(counter.clone());
        let mut cx = Context::from_waker(&waker);
        assert!(Pin::new(&mut pending).poll(&mut cx).is_pending());
    }
    set(&producer, 1);
    assert_eq!(counters.each_ref().map(|counter| counter.count()), [0, 1]);
}

/// What is under the model's track requests: the answer, and who asks for it.
#[derive(Default)]
struct Track {
    info: Option<u32>,
    subscriptions: Vec<Consumer<u32>>,
}

struct Accepted(Consumer<Track>);

impl kio::Future for Accepted {
    type Output = Option<u32>;

    fn poll(&self, waiter: &Waiter) -> Poll<Option<u32>> {
        let info = self.0.poll(waiter, |track| match track.info {
            Some(info) => Poll::Ready(info),
            None => Poll::Pending,
        });
        info.map(Result::ok)
    }
}

fn accept(track: &Producer<Track>, info: u32) {
    let Ok(mut track) = track.write() else {
        panic!("closed");
    };
    track.info = Some(info);
}

#[test]
fn accept_on_another_task_wakes_a_parked_subscriber_once() {
    let track = Producer::<Track>::default();
    let mut subscriber = Task::parked(Pending::new(Accepted(track.consume())));
    accept(&track, 7);
    assert_eq!(subscriber.wakes(), 1);
    assert_eq!(subscriber.poll(), Poll::Ready(Some(7)));

    let track = Producer::<Track>::default();
    let consumer = track.consume();
    let operation = Accepted(consumer);
    let mut adapter = Task::parked(kio::wait(|waiter| kio::Future::poll(&operation, waiter)));
    accept(&track, 8);
    assert_eq!(adapter.wakes(), 1);
    assert_eq!(adapter.poll(), Poll::Ready(Some(8)));
}

#[cfg(not(target_family = "wasm"))]
#[test]
fn accept_on_another_thread_wakes_a_parked_subscriber() {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let track = Producer::<Track>::default();
    let mut subscriber = Pending::new(Accepted(track.consume()));
    let publisher = std::thread::spawn(move || accept(&track, 7));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut cx = Context::from_waker(&waker);
    let info = loop {
        if let Poll::Ready(info) = Pin::new(&mut subscriber).poll(&mut cx) {
            break info;
        }
        std::thread::park();
    };
    assert_eq!(info, Some(7));
    publisher.join().expect("publisher");
}

/// Asks whether a subscription changed, as a serving task does again and again: prune what closed,
/// but through write access only if there is something to prune.
fn poll_subscriptions(track: &Producer<Track>, waiter: &Waiter) -> Poll<usize> {
    let closed = track.poll(waiter, |track| {
        for subscription in &track.subscriptions {
            if subscription.poll_closed(waiter).is_ready() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    });
    closed.map(|access| {
        let Ok(mut track) = access else {
            return 0;
        };
        track.subscriptions.retain(|one| !one.is_closed());
        track.subscriptions.len()
    })
}

#[test]
fn polls_that_find_no_change_wake_nobody() {
    let subscription = Producer::new(0);
    let track = Producer::new(Track {
        info: None,
        subscriptions: vec![subscription.consume()],
    });
    let mut subscriber = Task::parked(Pending::new(Accepted(track.consume())));
    let server = Counter::new();
    let waiter = server.waiter();
    for _ in 0..100 {
        assert_eq!(poll_subscriptions(&track, &waiter), Poll::Pending);
    }
    assert_eq!((subscriber.wakes(), server.count()), (0, 0));

    accept(&track, 7);
    assert_eq!(subscriber.wakes(), 1);
    assert_eq!(subscriber.poll(), Poll::Ready(Some(7)));

    let before = server.count();
    assert_eq!(poll_subscriptions(&track, &waiter), Poll::Pending);
    drop(subscription);
    assert!(server.count() > before, "a real change is heard");
    assert_eq!(poll_subscriptions(&track, &waiter), Poll::Ready(0));
}

/// Runs its action inside the wake-up.
struct Inline<F>(Mutex<Option<F>>);

impl<F: FnOnce() + Send + 'static> Wake for Inline<F> {
    fn wake(self: Arc<Self>) {
        let action = self.0.lock().expect("action").take();
        if let Some(action) = action {
            action();
        }
    }
}

fn inline(action: impl FnOnce() + Send + 'static) -> Waiter {
    Waiter::new(Waker::from(Arc::new(Inline(Mutex::new(Some(action))))))
}

#[test]
fn waker_that_uses_the_channel_finds_it_unlocked() {
    let producer = Producer::new(0);
    let consumer = producer.consume();
    let pending = |_: &kio::Ref<'_, u32>| Poll::<()>::Pending;

    let again = producer.clone();
    let writing = inline(move || set(&again, 2));
    assert!(consumer.poll(&writing, pending).is_pending());
    set(&producer, 1);
    assert_eq!(*consumer.read(), 2);

    let again = producer.clone();
    let counting = inline(move || drop(again.consume()));
    assert!(producer.poll_unused(&counting).is_pending());
    drop(consumer);

    let again = producer.clone();
    let counting = inline(move || drop(again.consume()));
    assert!(producer.poll_used(&counting).is_pending());
    let consumer = producer.consume();

    let again = producer.clone();
    let closing = inline(move || again.close());
    let again = consumer.clone();
    let reading = inline(move || assert!(again.read().is_closed()));
    assert!(consumer.poll(&closing, pending).is_pending());
    assert!(consumer.poll_closed(&reading).is_pending());
    let Ok(access) = producer.write() else {
        panic!("closed");
    };
    access.close();

    let producer = Producer::new(0);
    let weak = producer.downgrade();
    let upgrading = inline(move || assert!(weak.produce().is_none()));
    assert!(producer.poll_closed(&upgrading).is_pending());
    drop(producer);

    let shared = Shared::new(0);
    let again = shared.clone();
    let locking = inline(move || *again.lock() += 1);
    assert!(shared.poll(&locking, |_| Poll::<()>::Pending).is_pending());
    *shared.lock() += 1;
    assert_eq!(*shared.lock(), 2);
}
