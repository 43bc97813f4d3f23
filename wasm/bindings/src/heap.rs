//! Growth of the memory in large steps. Each one costs a third of a millisecond, whatever its size, and the allocator
//! would take one page at a time: 20 kB thirty times a second would be paid for with 1 % of a core.

/// What a worker with a live track or two needs. Memory that nobody has written to costs no more than its addresses.
const FIRST: usize = 16 << 20;

/// One step beyond that.
const STEP: usize = 4 << 20;

/// Bytes of a page of WebAssembly.
const PAGE: usize = 64 << 10;

/// The size of the memory as it was when it was last looked at, in pages.
#[derive(Debug)]
pub(crate) struct Heap {
    pages: usize,
}

impl Heap {
    /// Make room for the beginning.
    pub(crate) fn new() -> Self {
        if pages() * PAGE < FIRST {
            reserve(FIRST);
        }
        Self { pages: pages() }
    }

    /// Once the memory has grown, let it grow by a whole step.
    pub(crate) fn check(&mut self) {
        if pages() > self.pages {
            reserve(STEP);
            self.pages = pages();
        }
    }
}

/// Ask for that much and give it back, which leaves it with the allocator. Nothing is lost where it cannot be had:
/// whoever really needs the memory is told.
fn reserve(bytes: usize) {
    let mut room = Vec::<u8>::new();
    let _ = room.try_reserve_exact(bytes);
    std::hint::black_box(&mut room);
}

#[cfg(target_family = "wasm")]
fn pages() -> usize {
    core::arch::wasm32::memory_size::<0>()
}

/// Elsewhere the system's allocator knows best.
#[cfg(not(target_family = "wasm"))]
const fn pages() -> usize {
    FIRST / PAGE
}
