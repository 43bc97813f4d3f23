//! What announcements say, whatever the version.

use crate::{PathOwned, coding::MAX_VARINT};

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
    /// The hops as they travel, origin first; 0 is an unknown one. From 05-wip on the sender is not among them. Empty where
    /// the version has none (01, 02), unknown ones where it only counts them (03).
    pub hops: Vec<u64>,
    /// The price; [`Cost::default`] where the version has none.
    pub cost: Cost,
}

/// The price of a route (06 and later).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost {
    /// While its sender carries the broadcast already.
    pub warm: u64,
    /// Otherwise.
    pub cold: u64,
}

impl Cost {
    /// The highest price there is: a last resort.
    pub const MAX: u64 = MAX_VARINT;

    /// The price over a link that costs `link` more; never above [`Self::MAX`].
    pub fn over(self, link: u64) -> Self {
        Self {
            warm: self.warm.saturating_add(link).min(Self::MAX),
            cold: self.cold.saturating_add(link).min(Self::MAX),
        }
    }
}

impl Default for Cost {
    /// What a version without prices means.
    fn default() -> Self {
        Self {
            warm: 0,
            cold: Self::MAX,
        }
    }
}
