//! What announcements say, whatever the dialect: by what way, and at what price, a path is reached.

use crate::PathOwned;

/// The most hops of a chain. A longer one costs its announcement, not the session.
pub const MAX_HOPS: usize = 32;

/// A change of what is announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnnounceEvent {
    /// A path that was not announced now is.
    Active(Route),
    /// An announced path is now reached by another route.
    Restart(Route),
    /// The path is no longer announced.
    Ended(PathOwned),
}

/// By what way, and at what price, a path is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Relative to the requested prefix; may be empty.
    pub path: PathOwned,
    /// The hops as they travel, origin first; 0 is an unknown one. Empty where the version has none, unknown ones where it only
    /// counts them.
    pub hops: Vec<u64>,
    /// The price; [`Cost::UNPRICED`] where the version has none.
    pub cost: Cost,
}

/// The price of a route, where the version has one; lower is better, warm before cold. Zero where nobody said anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost {
    /// For a subscriber while the route is carrying the broadcast already.
    pub warm: u64,
    /// For the first subscriber.
    pub cold: u64,
}

impl Cost {
    /// The worst there is: a route that is about to go away.
    pub const MAX: Self = Self {
        warm: (1 << 62) - 1,
        cold: (1 << 62) - 1,
    };

    /// Of a route whose version has no prices: nothing while it carries the broadcast already, and the worst otherwise.
    pub const UNPRICED: Self = Self {
        warm: 0,
        ..Self::MAX
    };

    /// The price after a link of price `link`.
    pub fn over(self, link: u64) -> Self {
        Self {
            warm: self.warm.saturating_add(link).min(Self::MAX.warm),
            cold: self.cold.saturating_add(link).min(Self::MAX.cold),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn prices_add_up_to_the_highest_at_most() {
        let cost = Cost { warm: 3, cold: 7 };
        assert_eq!(cost.over(1), Cost { warm: 4, cold: 8 });
        assert_eq!(
            Cost::UNPRICED.over(5),
            Cost {
                warm: 5,
                cold: Cost::MAX.cold
            }
        );
        assert_eq!(cost.over(u64::MAX), Cost::MAX);
    }
}
