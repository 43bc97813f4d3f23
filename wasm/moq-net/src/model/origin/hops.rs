//! Who an announcement passed through, and what each step cost.

use crate::{Error, Result, Runtime};

/// Ids minted here stay below 2^53, so that peers with number-typed ids survive them.
const MINTED: u64 = 1 << 53;

/// The identity of an origin: one relay process, one browser connection, one publisher.
///
/// An id of 0 stands for an unknown hop. It may repeat in a chain and equals nobody's identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Non-zero and below 2^62 for a known origin.
    pub id: u64,
}

impl Origin {
    /// A hop whose identity did not travel.
    pub const UNKNOWN: Self = Self { id: 0 };

    /// A random identity in 1..2^53.
    pub fn random(runtime: &Runtime) -> Self {
        let id = runtime.random_u64() % (MINTED - 1) + 1;
        Self { id }
    }

    /// Whether this is the placeholder for an unknown hop.
    pub const fn is_unknown(self) -> bool {
        self.id == 0
    }
}

impl From<u64> for Origin {
    fn from(id: u64) -> Self {
        Self { id }
    }
}

/// The origins an announcement has passed, first to last. At most [`OriginList::MAX`] of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct OriginList(Vec<Origin>);

impl OriginList {
    /// The longest chain; a longer one is an error, never cut short.
    pub const MAX: usize = 32;

    /// A chain of no hops: published here.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds the next hop.
    ///
    /// # Errors
    /// [`Error::BoundsExceeded`] when the chain is full; it stays as it was.
    pub fn push(&mut self, hop: Origin) -> Result<()> {
        if self.0.len() >= Self::MAX {
            return Err(Error::BoundsExceeded);
        }
        self.0.push(hop);
        Ok(())
    }

    /// Whether `hop` is in the chain. Unknown hops are nobody.
    pub fn contains(&self, hop: Origin) -> bool {
        !hop.is_unknown() && self.0.contains(&hop)
    }

    /// Puts a known hop in place of the first one; no effect on an empty chain.
    pub fn replace_first(&mut self, hop: Origin) {
        if let Some(first) = self.0.first_mut() {
            *first = hop;
        }
    }

    /// How many hops.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no hop.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hops, first to last.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Origin> + ExactSizeIterator + '_ {
        self.0.iter().copied()
    }

    /// The hops, first to last.
    pub fn as_slice(&self) -> &[Origin] {
        &self.0
    }
}

impl TryFrom<Vec<Origin>> for OriginList {
    type Error = Error;

    fn try_from(hops: Vec<Origin>) -> Result<Self> {
        match hops.len() > Self::MAX {
            true => Err(Error::BoundsExceeded),
            false => Ok(Self(hops)),
        }
    }
}

/// What it costs to get a broadcast over a route (moq-lite-06 and later; free before).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost {
    /// Where the route already carries the broadcast.
    pub warm: u64,
    /// Where it would have to start to.
    pub cold: u64,
}

impl Cost {
    /// The largest cost: a last resort. It is what a varint can carry.
    pub const MAX: u64 = (1 << 62) - 1;
    /// Published here.
    pub const FREE: Self = Self { warm: 0, cold: 0 };
    /// Learned from a version that says nothing of cost.
    pub const UNSAID: Self = Self {
        warm: 0,
        cold: Self::MAX,
    };

    /// The cost after one more step at `price`; never above [`Self::MAX`].
    #[must_use]
    pub fn step(self, price: u64) -> Self {
        let add = |cost: u64| cost.saturating_add(price).min(Self::MAX);
        Self {
            warm: add(self.warm),
            cold: add(self.cold),
        }
    }
}

impl Default for Cost {
    fn default() -> Self {
        Self::FREE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn chain(ids: &[u64]) -> OriginList {
        OriginList::try_from(ids.iter().map(|id| Origin { id: *id }).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_full_chain_refuses_another_hop_and_keeps_what_it_has() {
        let mut hops = chain(&(1..=32).collect::<Vec<_>>());
        let before = hops.clone();
        assert_eq!(hops.push(Origin { id: 33 }), Err(Error::BoundsExceeded));
        assert_eq!(hops, before);
        assert!(OriginList::try_from(vec![Origin { id: 1 }; 33]).is_err());
    }

    #[test]
    fn an_unknown_hop_is_nobody() {
        let mut hops = chain(&[0, 0, 7]);
        assert!(!hops.contains(Origin::UNKNOWN));
        assert!(hops.contains(Origin { id: 7 }));
        hops.replace_first(Origin { id: 9 });
        assert_eq!(hops, chain(&[9, 0, 7]));
    }

    #[test]
    fn cost_saturates() {
        assert_eq!(Cost { warm: 3, cold: 7 }.step(1), Cost { warm: 4, cold: 8 });
        assert_eq!(Cost::UNSAID.step(1), Cost { warm: 1, cold: Cost::MAX });
    }
}
