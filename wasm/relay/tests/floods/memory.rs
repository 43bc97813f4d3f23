//! What a relay holds: an allocator that counts, by the threads that the relay has to itself.

use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

use moq_worker_world::allocator::Counting;
use tokio::runtime::Runtime;

pub(crate) const KIB: isize = 1 << 10;
pub(crate) const MIB: isize = 1 << 20;

/// More relays than one run of these tests has.
const RELAYS: usize = 64;

thread_local! {
    /// The relay that this thread belongs to, if any.
    static RELAY: Cell<Option<usize>> = const { Cell::new(None) };
}

struct Counts {
    live: AtomicIsize,
    peak: AtomicIsize,
}

static COUNTS: [Counts; RELAYS] = [const {
    Counts {
        live: AtomicIsize::new(0),
        peak: AtomicIsize::new(0),
    }
}; RELAYS];

fn note(change: isize) {
    if let Ok(Some(relay)) = RELAY.try_with(Cell::get) {
        let counts = &COUNTS[relay];
        let live = counts.live.fetch_add(change, Ordering::Relaxed) + change;
        counts.peak.fetch_max(live, Ordering::Relaxed);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting(note);

/// The memory of one relay. Nothing that is allocated by it is released by others, or the other way round: between a relay and
/// its clients there are sockets.
#[derive(Clone, Copy)]
pub(crate) struct Memory(usize);

impl Memory {
    /// That of a relay which runs on the runtime that comes with it.
    pub(crate) fn new() -> (Self, Runtime) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let relay = NEXT.fetch_add(1, Ordering::Relaxed);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .on_thread_start(move || RELAY.set(Some(relay)))
            .enable_all()
            .build();
        (Self(relay), runtime.unwrap())
    }

    /// Bytes held now.
    pub(crate) fn live(self) -> isize {
        COUNTS[self.0].live.load(Ordering::Relaxed)
    }

    /// The most that was held since this was last asked.
    pub(crate) fn peak(self) -> isize {
        let counts = &COUNTS[self.0];
        let live = counts.live.load(Ordering::Relaxed);
        counts.peak.swap(live, Ordering::Relaxed)
    }
}
