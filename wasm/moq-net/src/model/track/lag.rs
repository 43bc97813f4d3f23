//! How far a group lies behind the newest one.

use std::{sync::Arc, time::Duration};

use super::state::State;
use crate::model::group::{self, Stamp};

/// How far the newest group may still go on before an older one is stale.
pub(crate) struct Lag {
    /// Where the successor of the older group begins.
    from: Stamp,
    pub(crate) newest: Arc<group::Shared>,
    budget: Duration,
}

impl Lag {
    /// Whether `newest`, the newest frame, is over the budget. Presentation time counts where both ends have it.
    pub(crate) fn is_over(&self, newest: Option<Stamp>) -> bool {
        let newest = newest.unwrap_or(Stamp {
            timestamp: None,
            arrived: self.newest.arrived,
        });
        let lag = match (self.from.timestamp, newest.timestamp) {
            (Some(from), Some(to)) => to.as_duration().saturating_sub(from.as_duration()),
            _ => newest.arrived.duration_since(self.from.arrived),
        };
        lag > self.budget
    }
}

impl State {
    /// How stale a group is: `Ready` when it lies further behind the newest frame than `budget`, else the newest group, whose
    /// next frame may change that (`None`: only a new group can).
    pub(crate) fn poll_stale(&self, sequence: u64, budget: Duration) -> Result<(), Option<Lag>> {
        let (Some(latest), None) = (self.latest, &self.abort) else {
            return Err(None);
        };
        if sequence >= latest {
            return Err(None);
        }
        let budget = self.info.map_or(budget, |info| budget.min(info.cache));
        if budget.is_zero() {
            return Ok(());
        }
        let newest = self.cache.get(latest);
        let successor = sequence
            .checked_add(1)
            .and_then(|next| self.cache.upward(next).next());
        let (Some(newest), Some(successor)) = (newest, successor) else {
            return Err(None);
        };
        let (first, _) = successor.group.channel.read().span();
        let lag = Lag {
            from: first.unwrap_or(Stamp {
                timestamp: None,
                arrived: successor.group.arrived,
            }),
            newest: newest.group.clone(),
            budget,
        };
        match lag.is_over(newest.group.channel.read().span().1) {
            true => Ok(()),
            false => Err(Some(lag)),
        }
    }
}
