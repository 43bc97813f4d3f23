//! What costs no memory. A counting allocator tells.
#![cfg(not(loom))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::task::Poll;

use kio::{Producer, Shared, Waiter};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; the counter allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(action: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.with(Cell::get);
    action();
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn write_with_nobody_waiting_allocates_nothing() {
    let producer = Producer::new(0);
    let consumer = producer.consume();
    let shared = Shared::new(0);
    let counted = allocations(|| {
        for _ in 0..1_000 {
            if let Ok(mut value) = producer.write() {
                *value += 1;
            }
            *shared.lock() += *consumer.read();
        }
    });
    assert_eq!(counted, 0);
    assert_eq!(allocations(|| drop(Box::new(1))), 1, "the count counts");
}

#[test]
fn handles_come_and_go_without_memory() {
    let producer = Producer::new(0);
    let weak = producer.downgrade();
    let counted = allocations(|| {
        for _ in 0..1_000 {
            let reader = producer.consume();
            drop((
                reader.clone(),
                producer.clone(),
                weak.consume(),
                weak.produce(),
            ));
        }
        producer.close();
    });
    assert_eq!(counted, 0);
}

#[test]
fn one_parked_waiter_per_list_needs_no_heap() {
    let producer = Producer::new(0);
    let consumer = producer.consume();
    let waiter = Waiter::noop();
    let counted = allocations(|| {
        for _ in 0..1_000 {
            assert!(consumer.poll(&waiter, |_| Poll::<()>::Pending).is_pending());
            assert!(consumer.poll_closed(&waiter).is_pending());
            assert!(producer.poll_unused(&waiter).is_pending());
            if let Ok(mut value) = producer.write() {
                *value += 1;
            }
        }
    });
    assert_eq!(counted, 0);
}
