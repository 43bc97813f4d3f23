//! A handle that is not counted.

use crate::consumer::Consumer;
use crate::producer::Producer;
use crate::state::{Cell, lock};
use crate::sync::Arc;

/// Reaches the channel without keeping it open or counting as a reader. It does keep the memory of
/// the final value.
#[derive(Debug)]
pub struct Weak<T> {
    cell: Cell<T>,
}

impl<T> Weak<T> {
    pub(crate) fn new(cell: &Cell<T>) -> Self {
        Self { cell: cell.clone() }
    }

    /// A new producer, unless the channel is closed. Check and count are one step, so a last
    /// producer that leaves meanwhile cannot close the channel under the new one.
    #[must_use]
    pub fn produce(&self) -> Option<Producer<T>> {
        let mut state = lock(&self.cell);
        if state.closed {
            return None;
        }
        state.producers += 1;
        drop(state);
        Some(Producer {
            cell: self.cell.clone(),
        })
    }

    /// A new reader; always works, the final value stays readable.
    #[must_use]
    pub fn consume(&self) -> Consumer<T> {
        Consumer::attach(&self.cell)
    }

    /// Whether the channel is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        lock(&self.cell).closed
    }

    /// Whether both handles belong to one channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cell, &other.cell)
    }
}

impl<T> Clone for Weak<T> {
    fn clone(&self) -> Self {
        Self {
            cell: self.cell.clone(),
        }
    }
}
