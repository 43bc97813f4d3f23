//! How long an access lasts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::Refusal;
use super::jwk::Key;
use super::keys::Keys;

/// How often a live access looks at the wall clock and at its key.
const RECHECK: Duration = Duration::from_secs(20);

/// What time it is for people: the clock that tokens are dated by.
pub(super) trait Wall: Send + Sync + 'static {
    fn now(&self) -> SystemTime;
}

/// The clock of the system.
pub(super) struct SystemWall;

impl Wall for SystemWall {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// How long an access lasts: as long as its token, and as long as the key of that token is there. Clones are one lease.
#[derive(Clone, Default)]
pub struct Lease(Option<Arc<Terms>>);

struct Terms {
    wall: Arc<dyn Wall>,
    /// By the wall clock, and by one that nobody can turn back.
    end: Option<(SystemTime, Instant)>,
    keys: Arc<Keys>,
    key: Key,
    _use: Use,
}

impl Lease {
    /// The lease of a token that was just checked.
    pub(super) fn new(
        wall: Arc<dyn Wall>,
        end: Option<SystemTime>,
        keys: Arc<Keys>,
        key: Key,
        guard: Use,
    ) -> Self {
        let monotonic = |end: SystemTime| {
            let left = end.duration_since(wall.now()).unwrap_or_default();
            Some((end, Instant::now().checked_add(left)?))
        };
        let end = end.and_then(monotonic);
        Self(Some(Arc::new(Terms {
            wall,
            end,
            keys,
            key,
            _use: guard,
        })))
    }

    /// Waits until the access is over, and says why. Cancel-safe; any number may wait. Never comes for access that needs
    /// no token.
    pub async fn ended(&self) -> Refusal {
        match &self.0 {
            None => std::future::pending().await,
            Some(terms) => {
                tokio::select! {
                    refusal = terms.expired() => refusal,
                    refusal = terms.revoked() => refusal,
                }
            }
        }
    }
}

impl Terms {
    /// By whichever clock is first. A step of the wall clock shows at the next look; backwards it wins nothing.
    async fn expired(&self) -> Refusal {
        let Some((wall, monotonic)) = self.end else {
            return std::future::pending().await;
        };
        while self.wall.now() < wall && Instant::now() < monotonic {
            let look = Instant::now() + RECHECK;
            tokio::time::sleep_until(look.min(monotonic)).await;
        }
        Refusal::Expired
    }

    async fn revoked(&self) -> Refusal {
        loop {
            tokio::time::sleep(RECHECK).await;
            if !self.keys.holds(&self.key).await {
                return Refusal::Revoked;
            }
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = self.0.as_ref().and_then(|terms| terms.end);
        f.debug_struct("Lease")
            .field("end", &end.map(|(wall, _)| wall))
            .finish()
    }
}

/// How many clients use each token now.
#[derive(Debug, Default)]
pub(super) struct Uses(Arc<Mutex<HashMap<[u8; 32], usize>>>);

/// One use of a token, until it is dropped.
pub(super) struct Use {
    uses: Arc<Mutex<HashMap<[u8; 32], usize>>>,
    token: [u8; 32],
}

impl Uses {
    /// Counts one more use of `token` (its digest).
    ///
    /// # Errors
    /// [`Refusal::TooMany`] when there are `limit` of them.
    pub(super) fn count(&self, token: [u8; 32], limit: usize) -> Result<Use, Refusal> {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = uses.entry(token).or_default();
        if *count >= limit {
            return Err(Refusal::TooMany);
        }
        *count += 1;
        Ok(Use {
            uses: self.0.clone(),
            token,
        })
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = uses.get_mut(&self.token) {
            *count -= 1;
            if *count == 0 {
                uses.remove(&self.token);
            }
        }
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
