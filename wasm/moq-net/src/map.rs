//! A sorted map that is cheap to have many kinds of.
//!
//! Every kind of `BTreeMap` is some nine kilobytes of WebAssembly. Here the tree holds numbers only, so there is one for each type
//! of key, and the values lie in a vector.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, btree_map},
    fmt,
    ops::RangeBounds,
};

/// As `BTreeMap`, as far as it goes.
pub(crate) struct Map<K, V> {
    /// Where the value of a key is. The type is that of other trees in this crate, on purpose.
    index: BTreeMap<K, u64>,
    values: Vec<Option<V>>,
    free: Vec<usize>,
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self {
            index: BTreeMap::new(),
            values: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<K, V> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").finish_non_exhaustive()
    }
}

impl<K: Ord, V> Map<K, V> {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub(crate) fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.index.contains_key(key)
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.at(*self.index.get(key)?)
    }

    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = *self.index.get(key)?;
        self.values.get_mut(at as usize)?.as_mut()
    }

    /// The value that was there before, if any.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        // One search, also where the key is new.
        let vacant = match self.index.entry(key) {
            btree_map::Entry::Occupied(held) => {
                let held = *held.get() as usize;
                return self
                    .values
                    .get_mut(held)
                    .and_then(|slot| slot.replace(value));
            }
            btree_map::Entry::Vacant(vacant) => vacant,
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.values[at] = Some(value);
                at
            }
            None => {
                self.values.push(Some(value));
                self.values.len() - 1
            }
        };
        vacant.insert(at as u64);
        None
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.index.remove(key)?;
        let value = self.take(at);
        self.give_back();
        value
    }

    pub(crate) fn pop_first(&mut self) -> Option<(K, V)> {
        let (key, at) = self.index.pop_first()?;
        let value = self.take(at)?;
        self.give_back();
        Some((key, value))
    }

    /// In the order of the keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.index
            .iter()
            .filter_map(|(key, at)| Some((key, self.at(*at)?)))
    }

    /// In the order of the keys.
    pub(crate) fn range<R: RangeBounds<K>>(&self, range: R) -> impl Iterator<Item = (&K, &V)> {
        self.index
            .range(range)
            .filter_map(|(key, at)| Some((key, self.at(*at)?)))
    }

    /// In the order of the keys.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// In an order of its own, which depends on nothing but what was done before.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.values.iter_mut().flatten()
    }

    /// In the order of the keys.
    pub(crate) fn into_values(mut self) -> impl Iterator<Item = V> {
        let index = std::mem::take(&mut self.index);
        index.into_values().filter_map(move |at| self.take(at))
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        let (values, free) = (&mut self.values, &mut self.free);
        self.index.retain(|key, at| {
            let at = *at as usize;
            let kept = values
                .get_mut(at)
                .and_then(Option::as_mut)
                .is_some_and(|value| keep(key, value));
            if !kept {
                values[at] = None;
                free.push(at);
            }
            kept
        });
        self.give_back();
    }

    /// Takes out what lies at `key` or behind it.
    pub(crate) fn drain_from(&mut self, key: &K) -> Vec<V> {
        let behind = self.index.split_off(key);
        behind
            .into_values()
            .filter_map(|at| self.take(at))
            .collect()
    }

    fn at(&self, at: u64) -> Option<&V> {
        self.values.get(at as usize)?.as_ref()
    }

    fn take(&mut self, at: u64) -> Option<V> {
        let at = at as usize;
        let value = self.values.get_mut(at)?.take();
        self.free.push(at);
        if self.free.len() == self.values.len() {
            self.values = Vec::new();
            self.free = Vec::new();
        }
        value
    }

    /// What grew for a burst is given back after it, also where something always stays.
    fn give_back(&mut self) {
        if self.values.len() < SPARSE || self.index.len() > self.values.len() / 4 {
            return;
        }
        let mut values = Vec::with_capacity(self.index.len() * 2);
        for at in self.index.values_mut() {
            let value = self.values.get_mut(*at as usize).and_then(Option::take);
            *at = values.len() as u64;
            values.push(value);
        }
        self.values = values;
        self.free = Vec::new();
    }
}

/// Below this many places none is given back.
const SPARSE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// A small generator: the same numbers every time.
    fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
        let mut state = seed;
        move |below| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        }
    }

    #[test]
    fn it_does_what_a_tree_does() {
        for seed in 1..=20 {
            let mut next = numbers(seed);
            let (mut map, mut tree) = (Map::new(), BTreeMap::new());
            for _ in 0..500 {
                let (key, value) = (next(40), next(1000));
                match next(8) {
                    0..=3 => assert_eq!(map.insert(key, value), tree.insert(key, value)),
                    4 | 5 => assert_eq!(map.remove(&key), tree.remove(&key)),
                    6 => assert_eq!(map.pop_first(), tree.pop_first()),
                    _ if next(20) == 0 => {
                        let behind: Vec<u64> = tree.split_off(&key).into_values().collect();
                        assert_eq!(map.drain_from(&key), behind);
                    }
                    _ => {
                        map.retain(|key, value| (*key + *value) % 7 != 0);
                        tree.retain(|key, value| (*key + *value) % 7 != 0);
                    }
                }
                assert_eq!(map.len(), tree.len());
                assert_eq!(map.is_empty(), tree.is_empty());
                assert_eq!(map.get(&key), tree.get(&key));
                assert_eq!(map.contains_key(&key), tree.contains_key(&key));
                assert!(map.iter().eq(tree.iter()));
                assert!(map.range(key..).eq(tree.range(key..)));
            }
            map.values_mut().for_each(|value| *value += 1);
            tree.values_mut().for_each(|value| *value += 1);
            assert!(map.into_values().eq(tree.into_values()));
        }
    }

    #[test]
    fn what_stays_after_a_burst_takes_little() {
        let mut map = Map::new();
        for key in 0..10_000_u64 {
            map.insert(key, key);
        }
        for key in 0..9_990_u64 {
            assert_eq!(map.remove(&key), Some(key));
        }
        assert!(map.values.capacity() < 200, "{}", map.values.capacity());
        assert!(map.values().copied().eq(9_990..10_000));
    }

    #[test]
    fn places_are_used_again_and_given_back() {
        let mut map = Map::new();
        for round in 0..100_u64 {
            map.insert(round, round);
            if round >= 3 {
                map.remove(&(round - 3));
            }
        }
        assert!(map.values.len() <= 4, "{}", map.values.len());
        while map.pop_first().is_some() {}
        assert_eq!(map.values.capacity(), 0);
    }
}
