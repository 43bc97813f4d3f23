//! An allocator that tells what is held: for tests of what something costs.

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, which tells of each change of the bytes held, as `#[global_allocator]`. What it tells must not allocate.
pub struct Counting(pub fn(isize));

// SAFETY: every call goes to the system's allocator unchanged; what is told allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        (self.0)(layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        (self.0)(-(layout.size() as isize));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}
