//! The one copy on the way in: the worker writes into a buffer that then *is* the `Bytes` the stream yields.
//!
//! The only unsafe code of this crate.
#![allow(unsafe_code)]

use bytes::Bytes;

/// A buffer handed to the worker to write into, between `reserve` and `commit`.
#[derive(Debug)]
pub(crate) struct Reserved {
    buffer: Vec<u8>,
}

impl Reserved {
    /// Room for `length` bytes, not initialised.
    pub(crate) fn new(length: usize) -> Self {
        Self {
            buffer: Vec::with_capacity(length),
        }
    }

    /// Where the worker writes.
    pub(crate) fn pointer(&mut self) -> *mut u8 {
        self.buffer.as_mut_ptr()
    }

    /// The buffer as bytes, without copying. `None` when more is claimed than was reserved.
    ///
    /// # Safety
    /// The first `length` bytes behind [`Reserved::pointer`] have been written. The boundary guarantees it by contract:
    /// `worker/core/memory.ts` copies exactly `length` bytes there before it commits.
    pub(crate) unsafe fn filled(mut self, length: usize) -> Option<Bytes> {
        if length > self.buffer.capacity() {
            return None;
        }
        // SAFETY: within capacity as checked, initialised as the caller promises; any bytes are valid `u8`.
        unsafe { self.buffer.set_len(length) };
        Some(Bytes::from(self.buffer))
    }

    /// Write and fill as the worker does, for tests.
    #[cfg(test)]
    pub(crate) fn filled_with(mut self, data: &[u8]) -> Bytes {
        assert!(data.len() <= self.buffer.capacity());
        // SAFETY: within capacity, and the source cannot overlap a buffer this function owns.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), self.pointer(), data.len()) };
        // SAFETY: written the line above.
        unsafe { self.filled(data.len()) }.expect("length was checked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserved_buffer_is_what_the_stream_yields() {
        let mut reserved = Reserved::new(5);
        let pointer = reserved.pointer();
        let bytes = reserved.filled_with(b"hello");
        assert_eq!(bytes, "hello");
        assert_eq!(bytes.as_ptr(), pointer.cast_const());
    }

    #[test]
    fn more_than_was_reserved_is_refused() {
        let reserved = Reserved::new(4);
        let claimed = reserved.buffer.capacity() + 1;
        // SAFETY: refused before anything is read.
        assert!(unsafe { reserved.filled(claimed) }.is_none());
    }
}
