//! Numbers for things: a slab whose keys carry a generation.

/// Low bits of a key: the slot. Sixteen million live entries are far beyond any budget of a browser tab.
const SLOT_BITS: u32 = 24;
/// Keys stay below 2^53 so that a JavaScript number holds every one of them.
const GENERATION_LIMIT: u64 = 1 << (53 - SLOT_BITS);

/// A key as it crosses to JavaScript: an integer in 1..2^53.
pub(crate) type Key = u64;

/// Entries named by keys that are never used twice: a stale key finds nothing, whatever lives in its slot now.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    /// Slots that are empty and not worn out, last freed first.
    free: Vec<usize>,
    len: usize,
}

#[derive(Debug)]
struct Slot<T> {
    /// Of the value inside, or of the next one. From 1, so that no key is 0.
    generation: u64,
    value: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            len: 0,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Store a value and name it.
    pub(crate) fn insert(&mut self, value: T) -> Key {
        self.insert_with(|_| value)
    }

    /// Store a value that knows its own key.
    ///
    /// # Panics
    /// With more than 2^24 live entries: every caller is bounded far below that.
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 1,
                value: None,
            });
            self.slots.len() - 1
        });
        assert!(index < 1 << SLOT_BITS, "the slab is full");
        let slot = &mut self.slots[index];
        let key = slot.generation << SLOT_BITS | index as u64;
        slot.value = Some(make(key));
        self.len += 1;
        key
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(Self::index(key))?;
        (slot.generation == key >> SLOT_BITS).then_some(slot.value.as_ref())?
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(Self::index(key))?;
        (slot.generation == key >> SLOT_BITS).then_some(slot.value.as_mut())?
    }

    /// Take an entry out; its key is void from here on.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let index = Self::index(key);
        let slot = self.slots.get_mut(index)?;
        if slot.generation != key >> SLOT_BITS {
            return None;
        }
        let value = slot.value.take()?;
        self.len -= 1;
        slot.generation += 1;
        // A slot whose generations are used up stays empty for ever rather than start over.
        if slot.generation < GENERATION_LIMIT {
            self.free.push(index);
        }
        Some(value)
    }

    /// Every live entry, in slot order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let value = slot.value.as_ref()?;
            Some((slot.generation << SLOT_BITS | index as u64, value))
        })
    }

    /// Take everything out, voiding every key.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        let keys: Vec<_> = self.iter().map(|(key, _)| key).collect();
        keys.into_iter()
            .filter_map(|key| self.remove(key))
            .collect()
    }

    const fn index(key: Key) -> usize {
        (key & ((1 << SLOT_BITS) - 1)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_key_never_finds_the_next_value() {
        let mut slab = Slab::new();
        let first = slab.insert("first");
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second");
        assert_ne!(first, second);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get(second), Some(&"second"));
        assert_eq!(slab.len(), 1);
    }

    #[test]
    fn zero_and_foreign_keys_find_nothing() {
        let mut slab = Slab::new();
        slab.insert(1);
        for key in [0, 1, 2, 1 << SLOT_BITS | 7, (1 << 53) - 1, u64::MAX] {
            assert_eq!(slab.get(key), None, "{key}");
            assert_eq!(slab.remove(key), None, "{key}");
        }
    }

    #[test]
    fn keys_stay_exact_in_a_javascript_number_until_the_slot_is_worn_out() {
        let mut slab = Slab::new();
        let key = slab.insert(());
        slab.remove(key);
        slab.slots[0].generation = GENERATION_LIMIT - 1;
        let last = slab.insert(());
        assert!(last < 1 << 53);
        assert_eq!(last as f64 as u64, last);
        slab.remove(last);
        let fresh = slab.insert(());
        assert_eq!(Slab::<()>::index(fresh), 1, "the worn slot is retired");
    }

    #[test]
    fn drain_voids_every_key() {
        let mut slab = Slab::new();
        let keys = [slab.insert(1), slab.insert(2)];
        assert_eq!(slab.drain(), [1, 2]);
        assert_eq!(slab.len(), 0);
        assert!(keys.iter().all(|key| slab.get(*key).is_none()));
    }
}
