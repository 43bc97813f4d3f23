//! Who looks at an origin.

use super::Origin;
use crate::{Instant, model::broadcast::BroadcastInfo};

/// A peer that looks at an origin through a session: it is shown nothing that came from it, by any way. The default is
/// somebody on this side, who is shown everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Viewer {
    /// The session it looks through, as [`BroadcastInfo::session`] names it; 0 for none.
    pub session: u64,
    /// The ids it goes by.
    pub hops: Vec<Origin>,
    /// When that session began. What was found out about everybody before does not hold for it.
    pub since: Instant,
    /// It looks for what others publish, and give the id of their origin with.
    pub named: bool,
}

impl Viewer {
    /// Whether a broadcast that came by this route may be shown to it.
    pub fn may_see(&self, info: &BroadcastInfo) -> bool {
        let came_from_it = self.session != 0 && info.session == self.session;
        let is_named = !info.anonymous && info.publisher().is_some_and(|id| id.is_known());
        (!self.named || is_named)
            && !came_from_it
            && !self.hops.iter().any(|hop| info.hops.contains(*hop))
    }
}
