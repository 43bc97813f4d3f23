//! Who has passed a broadcast on.

use super::OriginProducer;
use crate::{Error, Result, Runtime};

/// The id of an origin, for loop detection: the same in all sessions of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Below 2^62. 0 stands for a hop whose id is unknown.
    pub id: u64,
}

impl Origin {
    /// A hop of unknown id. It equals other unknown hops but identifies nobody.
    pub const UNKNOWN: Self = Self { id: 0 };

    /// A random id. Below 2^53, so that peers who keep it in a floating-point number do not spoil it.
    pub fn random(runtime: &Runtime) -> Self {
        const RANGE: u64 = (1 << 53) - 1;
        Self {
            id: runtime.random_u64() % RANGE + 1,
        }
    }

    /// Whether the id is known.
    pub const fn is_known(self) -> bool {
        self.id != 0
    }

    /// An empty origin, with the right to everything.
    pub fn produce(self, runtime: &Runtime) -> OriginProducer {
        OriginProducer::new(self, runtime)
    }
}

impl From<u64> for Origin {
    fn from(id: u64) -> Self {
        Self { id }
    }
}

/// The origins a broadcast has passed, the publisher's first. At most 32: a longer chain is an error, never cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct OriginList(Vec<Origin>);

impl OriginList {
    /// The most hops there may be.
    pub const MAX: usize = 32;

    /// No hops: published here.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends a hop.
    ///
    /// # Errors
    /// [`Error::BoundsExceeded`] when the list is full.
    pub fn push(&mut self, origin: Origin) -> Result<()> {
        if self.0.len() >= Self::MAX {
            return Err(Error::BoundsExceeded);
        }
        self.0.push(origin);
        Ok(())
    }

    /// Whether `origin` is a hop. Unknown hops match nothing.
    pub fn contains(&self, origin: Origin) -> bool {
        origin.is_known() && self.0.contains(&origin)
    }

    /// Puts `origin` in the place of the first hop; the length stays. Without effect on an empty list.
    pub fn replace_first(&mut self, origin: Origin) {
        if let Some(first) = self.0.first_mut() {
            *first = origin;
        }
    }

    /// The number of hops.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hops, the publisher's first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Origin> + '_ {
        self.0.iter().copied()
    }

    /// The hops, the publisher's first.
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
